# SPDX-License-Identifier: Apache-2.0
"""A model that is served for real, and asked over HTTP and over gRPC."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pytriton.check.finding import Finding, Status
from pytriton.check.requirements import check_vulnerabilities
from pytriton.check.script import ScriptThread
from pytriton.constants import TRITON_LOCAL_IP
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.server.ports import free_ports
from pytriton.triton import Triton, TritonConfig

__all__ = ["check_in_process", "check_script", "serve"]

MODEL: Final = "AddSub"
_PORT_COUNT: Final = 3
_TIMEOUT_S: Final = 30.0
_A: Final = np.ones((2, 1), np.float32)
_EXPECTED: Final = {"add": (_A + _A).tolist(), "sub": (_A - _A).tolist()}


@batch
def _add_sub(INPUT_1: Any, INPUT_2: Any) -> dict[str, Any]:
    return {"add": INPUT_1 + INPUT_2, "sub": INPUT_1 - INPUT_2}


def check_in_process(workspace: Path | None = None) -> Iterator[Finding]:
    """Serve the model in this process and ask it."""
    ports = free_ports(_PORT_COUNT)
    begin = time.monotonic()
    try:
        triton = _triton(ports, workspace)
        triton.run()
    except Exception as error:
        yield Finding("example", Status.FAILED, f"the server did not start: {error}")
        return
    with contextlib.closing(_Stopping(triton)):
        seconds = time.monotonic() - begin
        yield Finding("example", Status.OK, f"served after {seconds:.2f} s", {"seconds": round(seconds, 3)})
        yield _version(ports[0])
        yield _asked("HTTP", lambda: _ask_http(ports[0]))
        yield _grpc(ports[1])


def check_script(workspace: Path | None = None) -> Iterator[Finding]:
    """Serve the model in a process of its own, ask it, and end it by SIGINT as Ctrl-C does."""
    ports = free_ports(_PORT_COUNT)
    command = [sys.executable, "-m", "pytriton.check.example", *map(str, ports)]
    command += [] if workspace is None else [str(workspace)]
    with ScriptThread(command, name="server") as server:
        yield _asked("HTTP of a script", lambda: _ask_when_ready(server, ports[0]))
        if server.process is not None:
            server.process.send_signal(signal.SIGINT)
        server.join(_TIMEOUT_S)
        ended = server.returncode
    status = Status.OK if ended == 0 else Status.FAILED
    yield Finding("script", status, f"ended with exit code {ended}", {"output": server.output.splitlines()})


def serve(ports: Sequence[int], workspace: Path | None = None) -> None:
    """Serve the model until Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, if the check runs in the background
    _triton(ports, workspace).serve()


class _Stopping:
    def __init__(self, triton: Triton) -> None:
        self._triton = triton

    def close(self) -> None:
        self._triton.stop()


def _triton(ports: Sequence[int], workspace: Path | None) -> Triton:
    names = ("http", "grpc", "metrics")
    options: dict[str, Any] = {f"{name}_port": port for name, port in zip(names, ports, strict=True)}
    options |= {f"{name}_address": TRITON_LOCAL_IP for name in names}
    triton = Triton(config=TritonConfig(**options), workspace=workspace)
    triton.bind(
        MODEL,
        _add_sub,
        [Tensor((-1,), np.float32), Tensor((-1,), np.float32)],
        [Tensor((-1,), np.float32, "add"), Tensor((-1,), np.float32, "sub")],
        config=ModelConfig(max_batch_size=128),
        strict=True,
    )
    return triton


def _asked(name: str, ask: Callable[[], dict[str, Any]]) -> Finding:
    try:
        answer = ask()
    except Exception as error:
        return Finding(name, Status.FAILED, f"no answer: {error}")
    text = ", ".join(f"{output}: {values}" for output, values in answer.items())
    if answer != _EXPECTED:
        return Finding(name, Status.FAILED, f"answered {text}, expected {_EXPECTED}")
    return Finding(name, Status.OK, text)


def _version(port: int) -> Finding:
    try:
        version = _get(port, "/v2")["version"]
    except (OSError, ValueError, KeyError) as error:
        return Finding("vulnerabilities", Status.FAILED, f"the server does not say its version: {error}")
    return check_vulnerabilities(version, "Triton")


def _ask_http(port: int) -> dict[str, Any]:
    tensor = {"datatype": "FP32", "shape": _A.shape, "data": _A.ravel().tolist()}
    document = {"inputs": [{"name": "INPUT_1", **tensor}, {"name": "INPUT_2", **tensor}]}
    answer = _get(port, f"/v2/models/{MODEL}/infer", json.dumps(document).encode())
    return {
        output["name"]: np.reshape(output["data"], output["shape"]).tolist() for output in answer["outputs"]
    }


def _ask_when_ready(server: ScriptThread, port: int) -> dict[str, Any]:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return _ask_http(port)
        except OSError:
            if not server.is_alive() or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _grpc(port: int) -> Finding:
    if importlib.util.find_spec("grpc") is None:
        return Finding("gRPC", Status.SKIPPED, "grpcio is not installed")
    from pytriton.client import ModelClient

    def ask() -> dict[str, Any]:
        with ModelClient(f"grpc://{TRITON_LOCAL_IP}:{port}", MODEL, init_timeout_s=_TIMEOUT_S) as client:
            return {name: array.tolist() for name, array in client.infer_batch(_A, _A).items()}

    return _asked("gRPC", ask)


def _get(port: int, path: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(
        f"http://{TRITON_LOCAL_IP}:{port}{path}", body, {"Content-Type": "application/json"}
    )
    # Proxies of the environment are not for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT_S) as response:
        return json.load(response)


if __name__ == "__main__":
    http_port, grpc_port, metrics_port, *rest = sys.argv[1:]
    where = Path(rest[0]) if rest else None
    serve((int(http_port), int(grpc_port), int(metrics_port)), where)
