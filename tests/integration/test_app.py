# SPDX-License-Identifier: Apache-2.0
"""Models of an App on a real server; and without one, where everything must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from pytriton import App
from pytriton.client.exceptions import PyTritonClientError
from pytriton.testing import TestClient, TestServer, serving
from tests.helpers.applications import app

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Ask(NamedTuple):
    """A request, and what must come out."""

    model: str
    inputs: dict[str, Any]
    parameters: dict[str, Any]
    result: Any
    """Outputs, a list of them for a stream, or words of the error."""

    @property
    def is_stream(self) -> bool:
        return self.model in ("tokens", "r.tokens", "count_down")


ASKS = [
    Ask("add", {"x": X, "y": X}, {}, {"output": 2 * X}),
    Ask(
        "add", {"x": X, "y": X[:, 1:]}, {}, 'dimension "n" must be the same everywhere, but it is 3 in input'
    ),
    Ask("add", {"x": X}, {}, 'input "y" is missing'),
    Ask("shift", {"x": X}, {}, {"output": X}),
    Ask("shift", {"x": X, "by": X}, {}, {"output": 2 * X}),
    Ask("shift_async", {"x": X}, {"by": "2.5"}, {"output": X + 2.5}),
    Ask("shout", {"text": ["a", "é"]}, {"times": 2, "end": "!"}, {"output": [b"AA!", "ÉÉ!".encode()]}),
    Ask("shout", {"text": ["a"]}, {"times": "two"}, "parameter \"times\": got 'two'; expected int"),
    Ask("shout", {"text": ["a"]}, {"end": "?"}, "got '?'; expected one of '', '!'"),
    Ask("shout", {"text": [b"\xff"]}, {}, "a string is not UTF-8"),
    Ask("shout_async", {"text": ["a", "b"]}, {"times": 2}, {"output": [b"AA", b"BB"]}),
    Ask("summary", {"x": X}, {"scale": 2}, {"mean": [2.0, 8.0], "label": [b"0", b"3"]}),
    Ask("summary", {"x": X}, {"scale": 2.5}, {"mean": [2.5, 10.0], "label": [b"0", b"3"]}),
    Ask("split", {"text": [b"a bc"]}, {}, {"words": [[b"a", b"bc"]], "lengths": [[1, 2]], "text": [b"a bc"]}),
    Ask(
        "split", {"text": [b"a", b"b c"]}, {}, "the samples of one request have different shapes: (1,), (2,)"
    ),
    Ask("wrong", {"x": X}, {}, {"x": X, "y": np.ones((2, 2))}),
    Ask("wrong", {"x": X}, {"how": "shape"}, 'output "x": got shape (2, 2) where (batch, n) is annotated'),
    Ask("wrong", {"x": X}, {"how": "rank"}, "expected 2 dimensions"),
    Ask("wrong", {"x": X}, {"how": "fixed"}, "dimension 1 must be 2"),
    Ask("wrong", {"x": X}, {"how": "rows"}, "must be the batch size 2"),
    Ask("wrong", {"x": X}, {"how": "dtype"}, "got dtype float64 where int64 is annotated"),
    Ask("wrong", {"x": X}, {"how": "type"}, "got an object of type str; expected a numpy.ndarray"),
    Ask("wrong", {"x": X}, {"how": "missing"}, "a Wrong without 'y'"),
    Ask("wrong", {"x": X}, {"how": "container"}, "an object of type list; expected Wrong"),
    Ask("wrong", {"x": X}, {"how": "refused"}, "not today"),
    Ask("wrong", {"x": X}, {"how": "raised"}, "ZeroDivisionError: by nothing"),
    Ask("tokens", {"prompt": ["a"]}, {"count": 2}, [{"output": [b"a0"]}, {"output": [b"a1"]}]),
    Ask("tokens", {"prompt": ["a"]}, {"count": -1}, "ValueError: less than nothing"),
    Ask("tokens", {"prompt": ["a", "b"]}, {}, "at most 1"),
    Ask("r.tokens", {"prompt": ["a"]}, {"count": 1}, [{"output": [b"a0"]}]),
    Ask("count_down", {"start": [9, 7]}, {"step": 2}, [{"output": [9 - s, 7 - s]} for s in (0, 2, 4)]),
    Ask("count_down", {"start": [9]}, {"factor": 2.5}, [{"output": [9 - s]} for s in (0, 2, 5)]),
    Ask("Embedder", {"text": ["ab", "c"]}, {}, {"output": [[2, 3], [1, 3]]}),
    Ask("double", {"x": X}, {}, {"y": 2 * X}),
    Ask("double", {"x": X[None]}, {}, "expected shape (batch, -1)"),
]


@pytest.fixture(scope="module")
def server(module_leaves_nothing: None) -> Iterator[TestServer]:
    with serving(app) as server:
        # The event loops of coroutines stay as long as the models.
        for ask in ASKS:
            if "async" in ask.model or ask.model == "r.tokens":
                outcome(server, ask)
        yield server


def outcome(source: TestServer | TestClient, ask: Ask) -> Any:
    try:
        if ask.is_stream:
            with source.stream(ask.model) as streaming:
                return list(streaming.infer_batch(parameters=ask.parameters, **ask.inputs))
        with source.model(ask.model) as client:
            return client.infer_batch(parameters=ask.parameters, **ask.inputs)
    except PyTritonClientError as error:
        return error


def check(outcome: Any, expected: Any) -> None:
    if isinstance(expected, str):
        assert isinstance(outcome, PyTritonClientError), outcome
        assert expected in str(outcome)
        return
    if isinstance(outcome, PyTritonClientError):
        raise outcome
    steps, wanted = (outcome, expected) if isinstance(expected, list) else ([outcome], [expected])
    assert len(steps) == len(wanted)
    for step, each in zip(steps, wanted, strict=True):
        assert {name: array.tolist() for name, array in step.items()} == {
            name: np.asarray(value).tolist() for name, value in each.items()
        }


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: f"{ask.model}-{ask.parameters}")
def test_answers(server: TestServer, ask: Ask) -> None:
    check(outcome(server, ask), ask.result)


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: f"{ask.model}-{ask.parameters}")
def test_answers_are_the_same_without_a_server(server: TestServer, ask: Ask) -> None:
    with TestClient(app) as client:
        ours = outcome(client, ask)
    check(ours, ask.result)
    theirs = outcome(server, ask)
    assert type(ours) is type(theirs)
    if isinstance(ours, PyTritonClientError):
        assert getattr(ours, "code", None) == getattr(theirs, "code", None) or ask.is_stream
        assert str(ours).rpartition("http://test:8000")[2] == str(theirs).rpartition(_target(server, ask))[2]


def _target(server: TestServer, ask: Ask) -> str:
    return server.grpc_url if ask.is_stream else server.http_url


def test_apps_may_be_bound_to_what_runs(server: TestServer) -> None:
    late = App()

    @late.model
    def late_double(x: float) -> float:
        return 2 * x

    late.bind_to(server.triton)
    with server.model("late_double") as client:
        assert client.infer_sample(1.5)["output"] == 3.0
    server.triton.unbind("late_double")


def test_generate_endpoints(server: TestServer) -> None:
    import http.client
    import json

    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
    connection.request("POST", "/v2/models/shout/generate", json.dumps({"text": "abc", "times": 3}))
    assert json.loads(connection.getresponse().read())["output"] == "ABCABCABC"
    connection.close()
