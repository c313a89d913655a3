# SPDX-License-Identifier: Apache-2.0
"""What docs/migrating-from-pytriton.md says is so: its programs run, its errors are what one sees."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import importlib.util
import itertools
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import DecoupledModelClient, FuturesModelClient, ModelClient
from pytriton.client.exceptions import (
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
    PyTritonClientInvalidUrlError,
    PyTritonClientModelUnavailableError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.decorators import batch, pad_batch
from pytriton.exceptions import (
    PyTritonBadParameterError,
    PyTritonError,
    PyTritonInvalidOperationError,
    PyTritonModelLoadError,
    PyTritonRuntimeError,
)
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.model_config.common import ModelWarmup, WarmupInput
from pytriton.model_config.parser import ModelConfigParser
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.telemetry import tracing
from pytriton.triton import RemoteTriton, Triton, TritonConfig, TritonSecurityConfig
from tests.helpers.server import LOCAL, Model, Server, free_ports, local_config

GUIDE: Final = (Path(__file__).parents[2] / "docs" / "migrating-from-pytriton.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
FLOATS: Final = [Tensor((-1,), np.float32)]
OPEN: Final = TritonSecurityConfig(restricted_endpoints=[])

Serve = Callable[..., Server]


def programs() -> list[tuple[str, str]]:
    """The programs of the guide, each with what it prints."""
    found = []
    for (language, text), (next_language, printed) in itertools.pairwise(BLOCKS):
        if language == "python":
            assert next_language == "text"
            found.append((text, printed))
    return found


def section(title: str) -> str:
    """Text below a heading."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def error_in(title: str) -> str:
    """The error that is shown below a heading."""
    (block,) = re.findall(r"```text\n(.*?)\n```", section(title), re.DOTALL)
    return str(block)


def run(code: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    names = ("HTTP", "GRPC", "METRICS")
    ports = {
        f"PYTRITON_TRITON_CONFIG_{name}_PORT": str(port)
        for name, port in zip(names, free_ports(3), strict=True)
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **ports},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def echo(requests: Any) -> Any:
    return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]


def url_of(server: Server) -> str:
    return f"http://{LOCAL}:{server.http_port}"


@pytest.mark.parametrize(("program", "printed"), programs())
def test_programs_of_the_guide_run(program: str, printed: str, tmp_path: Path) -> None:
    result = run(program, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == printed


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", GUIDE)) <= anchors


def test_dependencies() -> None:
    required = importlib.metadata.requires("pytriton") or []
    assert not [line for line in required if line.startswith(("tritonclient", "pyzmq", "sh", "wrapt"))]
    for extra in ("cli", "telemetry"):
        assert [line for line in required if f'extra == "{extra}"' in line.replace("'", '"')]


FATAL = """
from pytriton.exceptions import PyTritonUnrecoverableError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
import json, threading, urllib.request
import numpy as np

def fatal(requests):
    raise PyTritonUnrecoverableError("no further inferences possible")

def ask():
    tensor = {"name": "INPUT_1", "datatype": "FP32", "shape": [1, 1], "data": [1]}
    url = f"http://127.0.0.1:{TritonConfig.from_env().http_port}/v2/models/m/infer"
    try:
        urllib.request.urlopen(url, json.dumps({"inputs": [tensor]}).encode())
    except OSError:
        pass

with Triton() as triton:
    triton.bind("m", fatal, [Tensor((1,), np.float32)], [Tensor((1,), np.float32)])
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        triton.serve()
    finally:
        thread.join()
"""


def test_serve_raises(tmp_path: Path) -> None:
    result = run(FATAL, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == error_in("serve() raises")
    caught = FATAL.replace(
        "    finally:", "    except Exception as error:\n        print(type(error).__mro__)\n    finally:"
    )
    result = run(caught, cwd=tmp_path)
    assert result.returncode == 0
    assert PyTritonRuntimeError.__name__ in result.stdout


def test_unknown_models(serve: Serve) -> None:
    server = serve(Model("AddSub", echo, FLOATS, FLOATS), security_config=OPEN)
    with (
        ModelClient(f"http://localhost:{server.http_port}", "nope") as client,
        pytest.raises(PyTritonClientModelUnavailableError) as caught,
    ):
        client.infer_sample(np.ones(1, np.float32))
    assert str(caught.value).replace(str(server.http_port), "8000") == error_in("Unknown models")


def test_input_is_checked_first(serve: Serve) -> None:
    server = serve(Model("m", echo, FLOATS, FLOATS))
    row = np.ones((1, 1), np.float32)
    with ModelClient(url_of(server), "m") as client:
        with pytest.raises(PyTritonClientValueError) as caught:
            client.infer_batch(row, row)
        assert str(caught.value) == error_in("Input is checked first")
        for wrong in (np.ones((9, 1), np.float32), np.ones((1, 1, 1), np.float32), np.ones((1, 1), complex)):
            with pytest.raises(PyTritonClientValueError):
                client.infer_batch(wrong)
        assert client.infer_batch([[1]])["OUTPUT_1"].dtype == np.float32
        assert server.statistics("m")["inference_count"] == 1


def test_timeouts_of_streams(serve: Serve) -> None:
    gate = threading.Event()

    def two(requests: Any) -> Iterator[Any]:
        yield echo(requests)
        gate.wait(20)
        yield echo(requests)

    server = serve(Model("m", two, FLOATS, FLOATS, ModelConfig(decoupled=True)), security_config=OPEN)
    url = f"grpc://{LOCAL}:{server.grpc_port}"
    one = np.ones(1, np.float32)
    with (
        DecoupledModelClient(url, "m", inference_timeout_s=0.5) as hasty,
        DecoupledModelClient(url, "m") as client,
    ):
        responses = hasty.infer_sample(one)
        next(responses)
        with pytest.raises(PyTritonClientTimeoutError):
            next(responses)
        gate.set()
        streams = [client.infer_sample(one), client.infer_sample(one)]
        assert [len(list(stream)) for stream in streams] == [2, 2]


def test_pad_batch(serve: Serve) -> None:
    seen: list[int] = []

    @batch
    @pad_batch
    def padded(INPUT_1: Any) -> list[Any]:
        seen.append(len(INPUT_1))
        return [INPUT_1]

    @batch
    @pad_batch
    def trimmed(INPUT_1: Any) -> list[Any]:
        return [INPUT_1[:3]]

    config = ModelConfig(max_batch_size=8, batcher=DynamicBatcher(preferred_batch_size=[4]))
    server = serve(
        Model("padded", padded, FLOATS, FLOATS, config), Model("trimmed", trimmed, FLOATS, FLOATS, config)
    )
    rows = np.arange(3, dtype=np.float32).reshape(3, 1)
    for name in ("padded", "trimmed"):
        with ModelClient(url_of(server), name) as client:
            np.testing.assert_array_equal(client.infer_batch(rows)["OUTPUT_1"], rows)
    assert seen == [4]


def test_plain_functions_have_no_event_loop(serve: Serve) -> None:
    async def double(array: Any) -> Any:
        return 2 * array

    def own(requests: Any) -> Any:
        return [{"OUTPUT_1": asyncio.run(double(request["INPUT_1"]))} for request in requests]

    def of_the_thread(requests: Any) -> Any:
        asyncio.get_event_loop()
        return requests

    server = serve(Model("own", own, FLOATS, FLOATS), Model("m", of_the_thread, FLOATS, FLOATS))
    with ModelClient(url_of(server), "own") as client:
        assert client.infer_sample([1.0])["OUTPUT_1"] == [2.0]
    with (
        ModelClient(url_of(server), "m") as client,
        pytest.raises(PyTritonClientInferenceServerError) as caught,
    ):
        client.infer_sample([1.0])
    assert error_in("Event loops") in str(caught.value)


def test_a_grpc_server_that_goes_away() -> None:
    config, address = local_config()
    triton = Triton(config=config)
    triton.bind("m", echo, FLOATS, FLOATS)
    with triton, ModelClient(f"grpc://{LOCAL}:{address.grpc_port}", "m") as client:
        client.infer_sample([1.0])
        triton.stop()
        with pytest.raises(PyTritonClientConnectionError) as caught:
            client.infer_sample([1.0])
    assert isinstance(caught.value, PyTritonClientTimeoutError)


def test_mistakes_are_told_by_bind() -> None:
    config = ModelConfig(max_batch_size=2, batcher=DynamicBatcher(preferred_batch_size=[8]))
    with pytest.raises(PyTritonBadParameterError) as caught:
        Triton().bind("m", echo, FLOATS, FLOATS, config=config)
    assert str(caught.value) == error_in("Mistakes are told by bind")


def test_rows_of_results(serve: Serve) -> None:
    def wrong(requests: Any) -> Any:
        return [{"OUTPUT_1": np.zeros((5, 2), np.float32)} for _ in requests]

    server = serve(Model("m", wrong, FLOATS, FLOATS))
    with (
        ModelClient(url_of(server), "m") as client,
        pytest.raises(PyTritonClientInferenceServerError) as caught,
    ):
        client.infer_batch(np.zeros((2, 2), np.float32))
    assert error_in("Rows of results") in str(caught.value)


QUIET = """
import sys
from pytriton.triton import Triton
if SHOWN:
    import logging
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(name)s")
with Triton():
    pass
"""


def test_warm_up(serve: Serve) -> None:
    def fail(requests: Any) -> Any:
        raise ArithmeticError

    item = WarmupInput(np.float32, (1,), zero_data=True)
    warmup = ModelWarmup("first", 1, {"INPUT_1": item}, 2)
    with pytest.raises(PyTritonModelLoadError) as caught:
        serve(Model("m", fail, FLOATS, FLOATS, ModelConfig(model_warmup=[warmup])))
    assert error_in("Warm-up") in caught.value.message


def test_output_of_the_server(tmp_path: Path) -> None:
    assert run(f"SHOWN = False\n{QUIET}", cwd=tmp_path).stdout == ""
    loggers = run(f"SHOWN = True\n{QUIET}", cwd=tmp_path).stdout.split()
    assert "pytriton.server" in loggers


def test_log_file_is_written(tmp_path: Path) -> None:
    config, _ = local_config(log_file=tmp_path / "server log.txt")
    with Triton(config=config):
        pass
    assert (tmp_path / "server log.txt").stat().st_size > 0


def test_backend(serve: Serve) -> None:
    server = serve(Model("m", echo, FLOATS, FLOATS))
    assert server.get("/v2/models/m").json["platform"] == "pytriton"
    assert "workspace" not in str(server.get("/v2/models/m/config").json["parameters"])
    assert TritonModelConfig("m").backend == "pytriton"


def test_remotetriton(serve: Serve) -> None:
    server = serve(Model("m", echo, FLOATS, FLOATS), security_config=OPEN)
    with (
        RemoteTriton(f"http://localhost:{server.http_port}") as remote,
        pytest.raises(PyTritonInvalidOperationError) as caught,
    ):
        remote.bind("m", echo, FLOATS, FLOATS)
    assert str(caught.value).replace(str(server.http_port), "8000") == error_in("RemoteTriton")
    with ModelClient(url_of(server), "m") as client:
        assert client.infer_sample(np.ones(1, np.float32))["OUTPUT_1"].tolist() == [1]


def test_other_exceptions() -> None:
    said = dict(re.findall(r"^\| ([^|]*) \|[^|]*\| `(\w+)`", section("Other exceptions"), re.MULTILINE))
    raised: dict[str, Callable[[], object]] = {
        "empty token": lambda: Triton(security_config=TritonSecurityConfig(access_token="")),
        'from_dict({"http': lambda: TritonConfig.from_dict({"http_port": "x"}),
        "from_dict({})": lambda: ModelConfigParser.from_dict({}),
        "URL that is none": lambda: RemoteTriton("ftp://x").connect(),
        "reserves": lambda: ModelClient("localhost", "m").infer_sample(X=[1], parameters={"priority": 1}),
    }
    for words, call in raised.items():
        (name,) = [name for what, name in said.items() if words in what]
        with pytest.raises((PyTritonError, PyTritonClientError)) as caught:
            call()
        assert type(caught.value).__name__ == name
    with pytest.raises(PyTritonClientInvalidUrlError):
        FuturesModelClient("ftp://x", "m")


def test_tracing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(tracing, "_tracer", None)
    settings = ["mode=opentelemetry", "opentelemetry,url=http://localhost:1/v1/traces"]
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "pytriton"):
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        Triton().bind("m", echo, FLOATS, FLOATS, trace_config=settings)
    assert "functions are not traced" in caplog.text
    caplog.clear()
    Triton().bind("m", echo, FLOATS, FLOATS, trace_config=["mode=triton"])
    assert caplog.text == ""
    assert tracing.get_telemetry_tracer() is None


def test_gone() -> None:
    assert f"`{_import_error('pytriton.proxy.data')}`" in section("Gone")
    names = re.findall(r"`(pytriton\.[\w.]+)`", section("Gone"))
    assert len(names) > 8
    assert [name for name in names if _exists(name)] == []


def _import_error(module: str) -> str:
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(module)
    return f"ModuleNotFoundError: {caught.value}"


def _exists(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    for wanted in (name, module):
        try:
            found = importlib.import_module(wanted)
        except ModuleNotFoundError:
            continue
        return wanted == name or hasattr(found, attribute)
    return False
