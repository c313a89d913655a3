# SPDX-License-Identifier: Apache-2.0
"""The client module that an App writes, against a server and without one."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton import App
from pytriton.app.stub import client_stub
from pytriton.client.exceptions import PyTritonClientError
from pytriton.testing import TestClient, TestServer, serving
from tests.helpers.applications import app
from tests.helpers.gate import wait_until

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def load(text: str, directory: Path) -> Any:
    path = directory / "stub.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("stub", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(app.client_stub("tests.helpers.applications:app"), tmp_path_factory.mktemp("stub"))


@pytest.fixture(scope="module", params=["server", "none"])
def source(request: pytest.FixtureRequest, stub: Any, module_leaves_nothing: None) -> Iterator[Any]:
    with TestClient(app) if request.param == "none" else serving(app) as source:
        list(stub.RTokens(source)("a"))  # its event loop stays as long as the model
        if isinstance(source, TestClient):
            wait_until(lambda: all_connected(source), "the workers of all models")
        yield source


def all_connected(client: TestClient) -> bool:
    # Workers are warm a moment before they are connected, which takes a thread that stays.
    threads = {thread.name for thread in threading.enumerate()}
    return threads >= {f"pytriton-test-{model.label[0]}" for model in client._models or ()}


def test_arrays(source: TestServer, stub: Any) -> None:
    with stub.Add(source) as add:
        np.testing.assert_array_equal(add(X, y=X), 2 * X)
        with pytest.raises(PyTritonClientError, match='dimension "n"'):
            add(X, X[:, 1:])
    with stub.Shift(source) as shift:
        np.testing.assert_array_equal(shift(X), X)
        np.testing.assert_array_equal(shift(X, X), 2 * X)


def test_text_and_parameters(source: TestServer, stub: Any) -> None:
    with stub.Shout(source) as shout:
        assert shout("é") == "É"
        assert shout("a", times=2, end="!") == "AA!"
    with stub.Embedder(source) as embedder:
        assert embedder(["ab", "c"]).tolist() == [[2.0, 3.0], [1.0, 3.0]]


def test_records(source: TestServer, stub: Any) -> None:
    with stub.Summary(source) as summary:
        result = summary(X, scale=2.5)
        assert isinstance(result, stub.SummaryResult)
        assert result.mean.tolist() == [2.5, 10.0]
        assert result.label == ["0", "3"]
    with stub.Split(source) as split:
        words, lengths, text = split(b"a bc")
        assert (words.tolist(), lengths.tolist(), text) == ([b"a", b"bc"], [1, 2], b"a bc")


def test_streams(source: TestServer, stub: Any) -> None:
    with stub.Tokens(source) as tokens:
        assert list(tokens("a", count=2)) == ["a0", "a1"]
        for token in tokens("a", count=1000):
            assert token == "a0"
            break
    with stub.CountDown(source) as count_down:
        starts = np.array([9, 7], np.int64)
        assert [step.tolist() for step in count_down(starts, step=2)] == [[9, 7], [7, 5], [5, 3]]


def test_urls(stub: Any, module_leaves_nothing: None) -> None:
    with serving(app) as server:
        with stub.Shout(server.http_url) as shout, stub.Shout(server.grpc_url) as over_grpc:
            assert (shout("a"), over_grpc("b")) == ("A", "B")
        with stub.Summary(server.grpc_url) as summary:
            assert summary(X, scale=0.5).mean.tolist() == [0.5, 2.0]
        with stub.Tokens(server.grpc_url, inference_timeout_s=20) as tokens:
            assert list(tokens("a", count=1)) == ["a0"]


def test_names_that_need_care(tmp_path: Path) -> None:
    odd = App()
    limit = float("inf")

    def define(name: str, version: int = 1) -> None:
        @odd.model(name=name, version=version)
        def function(text: str, at: float = limit, words: str = "a\"'\\\n", none: int | None = None) -> str:
            r"""Ends with a quote: \"\"\" and a backslash \\"""
            return f"{at} {words} {none} {text}"

    names = ["any", "literal", "a.b", "a-b", "a_b", "1st", "none", "class", "..", "_"]
    for name in names[:-2]:
        define(name)
    define("a.b", 2)
    module = load(client_stub(odd.models, 'a "quoted" source'), tmp_path)
    with TestClient(odd) as client:
        for exported in module.__all__:
            stub = getattr(module, exported)(client)
            assert stub("x") == "inf a\"'\\\n None x"
            assert stub("x", at=1.5, words="w", none=3) == "1.5 w 3 x"
    assert len(module.__all__) == len(names) - 1
