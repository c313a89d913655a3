# SPDX-License-Identifier: Apache-2.0
"""Lines of the log as JSON and as text, with the ids of requests."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytriton import logs
from pytriton.batching.current import find_records_with
from pytriton.exceptions import PyTritonValidationError
from tests.helpers.records import Records


class _Named(Records):
    def __init__(self, *ids: str) -> None:
        super().__init__(*[1] * len(ids))
        self._ids = ids

    def id(self, index: int) -> str:
        return self._ids[index]


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The root logger and the making of records as they were, and nobody else's handlers."""
    factory, level = logging.getLogRecordFactory(), logging.root.level
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.delenv(logs.FORMAT_VARIABLE, raising=False)
    yield
    logging.setLogRecordFactory(factory)
    logging.root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def bare_root() -> None:
    """Take away the handlers that pytest has for the test."""
    logging.root.handlers[:] = []


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def working_on(ids: tuple[str, ...], do: Callable[[], object]) -> None:
    def work() -> None:
        find_records_with(lambda: _Named(*ids))
        do()

    contextvars.copy_context().run(work)


def test_a_line_is_an_object(stream: io.StringIO) -> None:
    logs.configure(json=True, stream=stream)
    logger = logging.getLogger("my.program")
    logger.debug("not this")
    logger.info("two\nlines of %s", "text ü", extra={"rows": 3, "path": object, "worst": math.inf})
    try:
        raise ZeroDivisionError("oh")
    except ZeroDivisionError:
        logger.exception("failed", stack_info=True)
    first, second = lines(stream)
    assert first["message"] == "two\nlines of text ü"
    assert (first["level"], first["logger"], first["rows"]) == ("INFO", "my.program", 3)
    assert (first["path"], first["worst"]) == (str(object), "inf")
    assert first["time"].endswith("Z")
    assert "T" in first["time"]
    assert first["thread"] == "MainThread"
    assert "request_ids" not in first
    assert second["exception"].endswith("ZeroDivisionError: oh")
    assert second["stack"].startswith("Stack")


def test_ids_of_requests_are_in_lines_of_the_program(stream: io.StringIO) -> None:
    logs.configure(json=True, stream=stream)
    working_on(("a", "", "b"), lambda: logging.getLogger("x").warning("inside"))
    working_on(("", ""), lambda: logging.getLogger("x").warning("without"))
    logging.getLogger("x").warning("outside")
    assert [line.get("request_ids") for line in lines(stream)] == [["a", "b"], None, None]


def test_ids_are_in_text_too(stream: io.StringIO) -> None:
    logs.configure(stream=stream)
    working_on(("a", "b"), lambda: logging.getLogger("x").warning("inside"))
    logging.getLogger("x").warning("outside")
    inside, outside = stream.getvalue().splitlines()
    assert inside.endswith(" WARNING x [a, b]: inside")
    assert outside.endswith(" WARNING x: outside")


def test_ids_in_lines_of_the_server(stream: io.StringIO) -> None:
    logs.configure(json=True, stream=stream, level="debug")
    server = logging.getLogger("pytriton.server")
    server.info("[request id: q7] enqueued, model: m", extra={"source": "infer_request.cc:905"})
    server.info("[request id: <id_unknown>] enqueued")
    known, unknown = lines(stream)
    assert (known["request_ids"], known["source"]) == (["q7"], "infer_request.cc:905")
    assert "request_ids" not in unknown


def test_a_handler_of_ones_own_gets_them_by_the_filter(stream: io.StringIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.addFilter(logs.RequestIdFilter())
    handler.setFormatter(logging.Formatter("%(request_ids)s %(message)s"))
    logging.root.addHandler(handler)
    working_on(("a",), lambda: logging.getLogger("x").warning("inside"))
    logging.getLogger("x").warning("outside")
    assert stream.getvalue().splitlines() == ["('a',) inside", "() outside"]


def test_configuring_again_changes_what_there_is(stream: io.StringIO) -> None:
    bare_root()
    console = logging.StreamHandler(stream)
    logging.root.addHandler(console)
    logs.configure(json=True)
    assert logging.root.handlers == [console]
    logging.getLogger("x").info("once")
    logs.configure(json=False)
    logging.getLogger("x").info("once more")
    first, second = stream.getvalue().splitlines()
    assert json.loads(first)["message"] == "once"
    assert second.endswith("INFO x: once more")
    other = io.StringIO()
    logs.configure(json=True, stream=other)
    logs.configure(json=True, stream=other)
    logging.getLogger("x").info("elsewhere")
    assert len(lines(other)) == 1


def test_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    bare_root()
    logs.configure_from_environment()
    assert not logging.root.handlers
    monkeypatch.setenv(logs.FORMAT_VARIABLE, "xml")
    with pytest.raises(PyTritonValidationError, match='"json" or "text", got \'xml\''):
        logs.configure_from_environment()
    monkeypatch.setenv(logs.FORMAT_VARIABLE, "JSON")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    for _ in range(2):
        logs.configure_from_environment()
    logging.getLogger("x").info("once")
    assert [line["message"] for line in lines(stream)] == ["once"]


def test_by_the_environment_the_level_of_the_program_stays(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    bare_root()
    monkeypatch.setenv(logs.FORMAT_VARIABLE, "json")
    logging.basicConfig(level=logging.WARNING, stream=stream)
    logs.configure_from_environment()
    logging.getLogger("x").info("not this")
    logging.getLogger("x").warning("this")
    assert [line["message"] for line in lines(stream)] == ["this"]


def test_a_level_that_there_is_not() -> None:
    with pytest.raises(PyTritonValidationError, match="got 'loud'"):
        logs.configure(level="loud")


def test_a_look_for_ids_that_fails_costs_no_line(stream: io.StringIO) -> None:
    logs.configure(json=True, stream=stream)

    def broken() -> Any:
        raise RuntimeError("no memory any more")

    def work() -> None:
        find_records_with(broken)
        logging.getLogger("x").warning("inside")

    contextvars.copy_context().run(work)
    assert [line["message"] for line in lines(stream)] == ["inside"]
