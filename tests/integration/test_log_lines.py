# SPDX-License-Identifier: Apache-2.0
"""Lines of a real server, its functions and their worker processes, as JSON."""

from __future__ import annotations

import io
import json
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton import logs
from pytriton.client import ModelClient
from pytriton.client.options import InferOptions
from pytriton.decorators import batch
from pytriton.exceptions import ErrorCode, PyTritonInferenceError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Array, Request
from pytriton.workers import WorkerProcesses
from tests.helpers.command import SERVICE, serving_command
from tests.helpers.gate import wait_until
from tests.helpers.observed_models import count_and_say
from tests.helpers.server import Model, Server

Serve = Callable[..., Server]

FLOAT = Tensor((1,), np.float32)


class Lines:
    """What was logged."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        logs.configure(json=True, stream=self._stream)

    def having(self, text: str) -> list[dict[str, Any]]:
        """Lines with a message that has this text."""
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in lines if text in line["message"]]

    def wait_for(self, text: str) -> dict[str, Any]:
        """The first line that has this text."""
        wait_until(lambda: bool(self.having(text)), f"a line with {text!r}")
        return self.having(text)[0]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handlers, level, factory = list(logging.root.handlers), logging.root.level, logging.getLogRecordFactory()
    yield Lines()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    logging.setLogRecordFactory(factory)


def document(request: str, value: float = 1) -> dict[str, Any]:
    tensor = {"name": "INPUT_1", "shape": [1, 1], "datatype": "FP32", "data": [value]}
    return {"id": request, "inputs": [tensor]}


@pytest.mark.parametrize("kind", ["requests", "batch", "coroutine", "generator", "async generator"])
def test_lines_of_functions_have_the_ids_of_their_requests(serve: Serve, lines: Lines, kind: str) -> None:
    logger = logging.getLogger("tests.functions")

    def requests(given: list[Request]) -> Any:
        logger.info("inside %s", kind, extra={"rows": len(given)})
        if given[0]["INPUT_1"][0, 0] < 0:
            raise ZeroDivisionError("as it was told")
        return [{"OUTPUT_1": request["INPUT_1"]} for request in given]

    @batch
    def whole(INPUT_1: Array) -> list[Array]:
        requests([Request({"INPUT_1": INPUT_1})])
        return [INPUT_1]

    async def coroutine(given: list[Request]) -> Any:
        return requests(given)

    def generator(given: list[Request]) -> Any:
        yield requests(given)

    async def async_generator(given: list[Request]) -> Any:
        yield requests(given)

    functions: dict[str, Any] = {
        "requests": requests,
        "batch": whole,
        "coroutine": coroutine,
        "generator": generator,
        "async generator": async_generator,
    }
    config = ModelConfig(batches_in_flight=2) if "r" in kind[:2] else None
    server = serve(Model("m", functions[kind], [FLOAT], [FLOAT], config))
    assert server.infer("m", document("good")).status == 200
    assert server.infer("m", document("bad", -1)).status == 500
    first, second = lines.having(f"inside {kind}")
    assert (first["request_ids"], second["request_ids"]) == (["good"], ["bad"])
    assert (first["logger"], first["rows"]) == ("tests.functions", 1)
    failed = lines.wait_for("inference failed")
    assert failed["request_ids"] == ["bad"]
    assert "as it was told" in failed["message"]


def test_refused_requests_do_not_flood_the_log(serve: Serve, lines: Lines) -> None:
    def function(requests: list[Request]) -> Any:
        raise PyTritonInferenceError("not like this", ErrorCode.INVALID_ARG)

    server = serve(Model("m", function, [FLOAT], [FLOAT]))
    for number in range(5):
        assert server.infer("m", document(f"r{number}")).status == 400
    (line,) = lines.having("not like this")
    assert (line["level"], line["request_ids"]) == ("INFO", ["r0"])
    assert line["message"] == 'model "m": request refused: not like this'


def test_lines_of_the_server_say_where_they_come_from(serve: Serve, lines: Lines) -> None:
    logs.configure(json=True, level="DEBUG")
    server = serve(
        Model("m", lambda requests: [{"OUTPUT_1": requests[0]["INPUT_1"]}], [FLOAT], [FLOAT]),
        config={"log_verbose": 1},
    )
    assert server.infer("m", document("mine")).status == 200
    line = lines.wait_for("[request id: mine]")
    assert line["request_ids"] == ["mine"]
    assert line["logger"] == "pytriton.server"
    assert ".cc:" in line["source"]


def test_lines_of_worker_processes(serve: Serve, lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    x, pid = Tensor(name="x", dtype=np.float32, shape=(1,)), Tensor(name="pid", dtype=np.int64, shape=(1,))
    server = serve(Model("m", count_and_say, [x], [pid], workers=WorkerProcesses(1)))
    with ModelClient(server.url, "m") as client:
        number = client.infer_sample(x=np.ones(1, np.float32), options=InferOptions(request_id="far away"))[
            "pid"
        ][0]
    line = lines.wait_for("called with 1")
    assert line["request_ids"] == ["far away"]
    assert (line["logger"], line["process"], line["rows"]) == ("tests.observed", number, 1)
    wait_until(lambda: f"printed by {number}" in capfd.readouterr().out, "what the worker printed")


def test_the_command_line_logs_as_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    monkeypatch.setenv(logs.FORMAT_VARIABLE, "json")
    with serving_command(tmp_path, "service:app", "--log-level=info") as (command, address, _):
        assert address.post("/v2/models/Scale/generate", {"values": [1]}).status == 200
        command.signal(signal.SIGINT)
        line = json.loads(command.expect("SIGINT received"))
        assert (line["level"], line["logger"]) == ("INFO", "pytriton.triton")
        assert command.wait() == 0
