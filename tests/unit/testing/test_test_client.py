# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

from pytriton import App
from pytriton.arrays import F32
from pytriton.batching.current import current_batch
from pytriton.client.exceptions import (
    PyTritonClientInferenceServerError,
    PyTritonClientModelUnavailableError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.decorators import batch
from pytriton.exceptions import (
    ErrorCode,
    PyTritonDefinitionError,
    PyTritonInvalidOperationError,
    PyTritonModelLoadError,
    PyTritonUnrecoverableError,
)
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.common import ModelWarmup, WarmupInput
from pytriton.request import Array
from pytriton.testing import TestClient
from pytriton.triton import Triton

ROOT = Path(__file__).resolve().parents[3]
Rows = Annotated[F32, "batch", "n"]
F32Row = Annotated[F32, -1]


@pytest.fixture
def sizes() -> list[int]:
    return []


@pytest.fixture
def app(sizes: list[int]) -> App:
    app = App()

    @app.model(max_batch_size=4)
    def scale(x: Rows, by: int = 1) -> Rows:
        sizes.append(len(x))
        return x * np.float32(by)

    return app


ROW = np.ones(3, np.float32)


def test_requests_together_make_batches(app: App, sizes: list[int]) -> None:
    with TestClient(app) as client:
        answers = client.model("scale").infer_together([{"x": ROW * index} for index in range(6)])
        assert [answer["output"][0] for answer in answers] == list(range(6))  # type: ignore[index]
        assert sizes == [4, 2]


def test_requests_of_other_shapes_are_batches_of_their_own(app: App, sizes: list[int]) -> None:
    with TestClient(app) as client:
        client.model("scale").infer_together([{"x": ROW}, {"x": ROW}, {"x": ROW[:2]}, {"x": ROW}])
        assert sizes == [2, 1, 1]


def test_together_tells_what_the_client_itself_refuses(app: App) -> None:
    with TestClient(app) as client:
        good, bad = client.model("scale").infer_together([{"x": ROW}, {"y": ROW}])
    assert isinstance(good, dict)
    assert 'no input "y"' in str(bad)


def test_leaving_a_stream_closes_the_generator() -> None:
    app = App()
    closed = threading.Event()

    @app.model
    def endless(prompt: str) -> Iterator[str]:
        try:
            while True:
                yield prompt
        finally:
            closed.set()

    with TestClient(app) as client:
        with client.stream("endless").infer_sample("a") as stream:
            assert next(stream)["output"] == b"a"
        assert closed.wait(20)


def test_leaving_an_async_stream_closes_the_generator() -> None:
    app = App()
    closed = threading.Event()

    @app.model
    async def endless(prompt: str) -> AsyncIterator[str]:
        import asyncio

        try:
            while True:
                yield prompt
                await asyncio.sleep(0)
        finally:
            closed.set()

    with TestClient(app) as client:
        stream = client.stream("endless").infer_sample("a")
        assert next(stream)["output"] == b"a"
        stream.close()
        assert closed.wait(20)


def test_an_async_stream_without_a_pause_holds_up_no_other() -> None:
    app = App()

    @app.model
    async def endless(prompt: str) -> AsyncIterator[str]:
        import asyncio

        while True:
            yield prompt
            await asyncio.sleep(0)

    with TestClient(app) as client, client.stream("endless").infer_sample("a") as first:
        assert next(first)["output"] == b"a"
        with client.stream("endless").infer_sample("b") as second:
            assert next(second)["output"] == b"b"


def test_timeouts_cancel_the_request() -> None:
    app = App()
    seen = threading.Event()

    @app.model
    def slow(x: Rows) -> Rows:
        batch = current_batch()
        while not batch.is_cancelled():
            pass
        seen.set()
        return x

    with TestClient(app, timeout_s=0.2) as client:
        with pytest.raises(PyTritonClientTimeoutError, match=r"within 0\.2 s"):
            client.model("slow").infer_sample(ROW)
        assert seen.wait(20)


def test_results_that_never_fit() -> None:
    app = App()

    @app.model()
    def grow(x: F32Row) -> F32Row:
        return np.zeros(1 << 27, np.float32)

    with TestClient(app) as client, pytest.raises(PyTritonClientInferenceServerError) as caught:
        client.model("grow").infer_sample(x=ROW)
    assert caught.value.code is ErrorCode.INTERNAL
    assert "it cannot be served" in str(caught.value)


def test_inputs_that_never_fit() -> None:
    app = App()

    @app.model(config=ModelConfig(max_batch_size=8, worker_shared_memory_bytes=1 << 20))
    def count(x: Rows) -> Rows:
        return x[:, :1]

    row = np.zeros((1, 1 << 17), np.float32)
    with TestClient(app) as client:
        model = client.model("count")
        with pytest.raises(PyTritonClientInferenceServerError) as caught:
            model.infer_batch(np.repeat(row, 3, axis=0))
        assert caught.value.code is ErrorCode.INTERNAL
        text = str(caught.value)
        assert f"the limit is {1 << 20} bytes: it cannot be served" in text
        assert "raise ModelConfig(worker_shared_memory_bytes=...)" in text
        # Each would fit.
        for error in model.infer_together([{"x": row}] * 3, samples=False):
            assert isinstance(error, PyTritonClientInferenceServerError)
            assert error.code is ErrorCode.UNAVAILABLE
            assert "its 3 requests together need more than the limit" in str(error)


def test_inputs_may_be_kept() -> None:
    app = App()
    kept: list[Array] = []

    @app.model
    def keep(x: Rows) -> Rows:
        kept.append(x)
        return x

    with TestClient(app) as client:
        for index in range(50):
            client.model("keep").infer_sample(ROW * index)
        assert [int(array[0, 0]) for array in kept] == list(range(50))
    assert [int(array[0, 0]) for array in kept] == list(range(50))


def test_models_that_a_triton_would_serve() -> None:
    triton = Triton()
    double = batch(lambda x: [2 * x])
    triton.bind(
        "double", [double, double], [Tensor((-1,), np.float32, name="x")], [Tensor((-1,), np.float32)]
    )
    with TestClient(triton) as client:
        assert client.model("double").infer_sample(ROW)["OUTPUT_1"].tolist() == [2.0] * 3


def test_versions() -> None:
    app = App()

    def of(version: int) -> None:
        @app.model(name="which", version=version)
        def which(x: int) -> int:
            return version

    of(2)
    of(1)
    with TestClient(app) as client:
        assert client.model("which").infer_sample(0)["output"] == 2
        assert client.model("which", 1).infer_sample(0)["output"] == 1
        with pytest.raises(PyTritonClientModelUnavailableError, match='no model "which" version 3'):
            client.model("which", 3)


def test_the_other_kind_of_client_is_named(app: App) -> None:
    with TestClient(app) as client:
        with pytest.raises(PyTritonInvalidOperationError, match=r'use client\.model\("scale"\)'):
            client.stream("scale")
        with pytest.raises(PyTritonClientModelUnavailableError, match=r'no model "other".*"scale" version 1'):
            client.model("other")
    with pytest.raises(PyTritonInvalidOperationError, match="is closed"):
        client.model("scale")


def test_it_starts_at_first_use(app: App) -> None:
    client = TestClient(app)
    try:
        assert client.model("scale").infer_sample(ROW)["output"].tolist() == ROW.tolist()
    finally:
        client.close()


def test_warm_up_that_fails() -> None:
    app = App()
    given = {"x": WarmupInput(np.float32, (2,), zero_data=True)}
    warmup = ModelWarmup(name="w", batch_size=1, count=1, inputs=given)

    @app.model(config=ModelConfig(model_warmup=[warmup]))
    def cold(x: Annotated[F32, "batch", 2]) -> Annotated[F32, "batch", 2]:
        raise RuntimeError("too cold")

    with pytest.raises(PyTritonModelLoadError, match="too cold"):
        TestClient(app).__enter__()


def test_functions_that_end_the_server() -> None:
    app = App()

    @app.model
    def give_up(x: Rows) -> Rows:
        raise PyTritonUnrecoverableError("no more")

    with TestClient(app) as client:
        with pytest.raises(PyTritonClientInferenceServerError, match="no more"):
            client.model("give_up").infer_sample(ROW)
        with pytest.raises(PyTritonClientInferenceServerError, match=r"workers? (has|have) ended"):
            client.model("give_up").infer_sample(ROW)


def test_nothing_is_left(app: App) -> None:
    before = set(threading.enumerate())
    with TestClient(app) as client:
        client.model("scale").infer_sample(ROW)
    assert set(threading.enumerate()) <= before


WITHOUT_LINUX = """
import os, signal, socket, sys

sys.platform = "darwin"
for module, names in {
    os: ["memfd_create", "eventfd", "pidfd_open", "sched_getaffinity", "sched_setaffinity", "splice"],
    socket: ["SOCK_SEQPACKET", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "MSG_NOSIGNAL", "MSG_CMSG_CLOEXEC"],
    signal: ["pidfd_send_signal"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

real_open, real_listdir = open, os.listdir

def no_proc(function):
    def guarded(path, *args, **kwargs):
        assert not str(path).startswith(("/proc", "/dev/shm")), path
        return function(path, *args, **kwargs)
    return guarded

os.listdir = no_proc(real_listdir)
import subprocess
subprocess.Popen = None

from tests.helpers.applications import app
from pytriton.testing import TestClient

with TestClient(app) as client:
    assert client.model("shout").infer_sample("a")["output"] == b"A"
    assert client.model("shout_async").infer_sample("a")["output"] == b"A"
    assert len(list(client.stream("tokens").infer_sample("a"))) == 3
    assert len(list(client.stream("r.tokens").infer_sample("a"))) == 3
assert "pytriton.server.process" not in sys.modules, "the server was loaded"
print("fine")
"""


def test_works_where_the_server_does_not() -> None:
    """What only Linux has is taken away, and no process may be started."""
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_LINUX],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "fine\n"


def test_what_has_no_models_is_refused() -> None:
    with pytest.raises(PyTritonDefinitionError, match="takes an App, a Router or a Triton, got 3"):
        TestClient(3)  # type: ignore[arg-type]


def test_a_shape_without_free_dimensions_is_not_explained() -> None:
    app = App()

    @app.model
    def image(pixels: Annotated[F32, "batch", 2, 3]) -> Annotated[F32, "batch"]:
        raise NotImplementedError

    with TestClient(app) as client, pytest.raises(PyTritonClientValueError) as caught:
        client.model("image").infer_sample([[1.0]])
    assert str(caught.value).endswith("expected shape (2, 3), got (1, 1).")
