# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.batching.current import current_batch
from pytriton.decorators import batch, fill_optionals, first_value, pad_batch, sample, triton_context
from pytriton.exceptions import PyTritonModelLoadError, PyTritonUnrecoverableError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.common import ModelWarmup, WarmupInput
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.worker.pool import ThreadWorkers, WorkerSpec

X = Tensor((2,), np.float32, name="x")
TEXT = Tensor((1,), bytes, name="text", optional=True)
Y = Tensor((2,), np.float32, name="y")
RANDOM = WarmupInput(np.float32, (2,), random_data=True)


class Log:
    """Notes what a function is called with, and in which thread."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.threads: set[str] = set()

    def note(self, x: Any) -> Any:
        self.rows.append(len(x))
        self.threads.add(threading.current_thread().name)
        return x


def warmup(count: int = 3, batch_size: int = 2, **inputs: WarmupInput) -> ModelWarmup:
    return ModelWarmup("w", batch_size, inputs or {"x": RANDOM}, count)


def run(
    functions: Callable[..., Any] | Sequence[Callable[..., Any]],
    *warmups: ModelWarmup,
    path: Path,
    strict: bool = False,
    inputs: Sequence[Tensor] = (X, TEXT),
    **options: Any,
) -> list[BaseException]:
    """Warm functions up as the workers of a model whose server never comes; returns the failures."""
    config = ModelConfig(max_batch_size=8, model_warmup=list(warmups), **options)
    model = TritonModelConfig.create("m", inputs, [Y], config)
    failures: list[BaseException] = []
    workers = ThreadWorkers(
        WorkerSpec(model, str(path / "nobody"), strict, warmups=warmups),
        [functions] if callable(functions) else list(functions),
        failures.append,
    )
    workers.start()
    with contextlib.suppress(PyTritonModelLoadError):
        workers.wait_warm()
    assert workers.stop(20.0)
    return failures


def test_function_is_called_as_often_as_asked_in_the_thread_of_its_worker(tmp_path: Path) -> None:
    log = Log()

    @batch
    def function(x: Any) -> Any:
        return [log.note(x)]

    assert run(function, warmup(), warmup(2, 5), warmup(0), path=tmp_path) == []
    assert log.rows == [2, 2, 2, 5, 5]
    assert log.threads == {"pytriton-m-0"}


def test_every_callable_is_warmed_up(tmp_path: Path) -> None:
    logs = [Log(), Log()]

    def make(log: Log) -> Callable[..., Any]:
        return batch(lambda x: [log.note(x)])

    assert run([make(log) for log in logs], warmup(), path=tmp_path) == []
    assert [log.rows for log in logs] == [[2] * 3] * 2
    assert [log.threads for log in logs] == [{"pytriton-m-0"}, {"pytriton-m-1"}]


def test_every_kind_of_function_really_runs(tmp_path: Path) -> None:
    log = Log()

    @batch
    async def coroutine(x: Any) -> Any:
        await asyncio.sleep(0)
        return [log.note(x)]

    @batch
    def generator(x: Any) -> Iterator[Any]:
        yield [log.note(x)]

    @batch
    async def async_generator(x: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(0)
        yield [log.note(x)]

    class Service:
        @batch
        def infer(self, x: Any) -> Any:
            return [log.note(x)]

        def __call__(self, requests: Any) -> Any:
            return [{"y": log.note(request["x"])} for request in requests]

    functions: list[Callable[..., Any]] = [
        coroutine,
        generator,
        async_generator,
        Service().infer,
        Service(),
        functools.partial(batch(lambda x: coroutine.__wrapped__(x))),  # type: ignore[attr-defined]
    ]
    for function in functions:
        log.rows.clear()
        assert run(function, warmup(), path=tmp_path) == []
        assert log.rows == [2, 2, 2], function


@pytest.mark.parametrize("asynchronous", [True, False])
def test_streams_run_to_their_end(asynchronous: bool, tmp_path: Path) -> None:
    log = Log()

    def steps(x: Any) -> Iterator[Any]:
        for _ in range(3):
            yield [log.note(x)]

    async def later(x: Any) -> AsyncIterator[Any]:
        for outputs in steps(x):
            await asyncio.sleep(0)
            yield outputs

    assert run(batch(later if asynchronous else steps), warmup(2), path=tmp_path, decoupled=True) == []
    assert log.rows == [2] * 6
    assert run(batch(lambda x: [log.note(x)]), warmup(1), path=tmp_path, decoupled=True) == []
    assert len(log.rows) == 7


def test_coroutines_keep_their_event_loop(tmp_path: Path) -> None:
    loops = set()

    async def function(requests: Any) -> Any:
        loops.add(asyncio.get_running_loop())
        return [{"y": request["x"]} for request in requests]

    assert run(function, warmup(), path=tmp_path) == []
    assert len(loops) == 1


def test_decorators_know_the_model(tmp_path: Path) -> None:
    seen = []

    @fill_optionals(text=np.array([b"nothing"]))
    @batch
    @pad_batch
    @first_value("text")
    @triton_context
    def function(x: Any, text: Any, triton_context: Any) -> Any:
        seen.append((len(x), text, triton_context.model_config.model_name))
        return [x]

    assert run(function, warmup(1), path=tmp_path) == []
    assert seen == [(8, b"nothing", "m")]


def test_without_batching_there_is_no_batch_dimension(tmp_path: Path) -> None:
    shapes = []

    @sample
    def function(x: Any) -> Any:
        shapes.append(x.shape)
        return [x]

    assert run(function, warmup(1, 5), warmup(1, 0), path=tmp_path, batching=False) == []
    assert shapes == [(2,), (2,)]


def test_requests_look_like_those_of_clients(tmp_path: Path) -> None:
    seen: list[Any] = []

    def function(requests: Any) -> Any:
        seen.extend(requests)
        assert [request.rows for request in current_batch()] == [2]
        for request in requests:
            request["x"][...] = 0
        return [{"y": request["x"]} for request in requests]

    text = WarmupInput(object, (1,), random_data=True)
    assert run(function, warmup(1, x=RANDOM, text=text), path=tmp_path) == []
    (request,) = seen
    assert request.parameters == {}
    assert (request.id, request.is_cancelled()) == ("", False)
    assert request.requested_output_names == ["y"]
    assert request["text"].dtype == object
    assert type(request["text"][0, 0]) is bytes


def test_data_comes_from_files(tmp_path: Path) -> None:
    log: list[Any] = []
    np.save(tmp_path / "x.npy", np.array([[1, 2]]))
    item = WarmupInput(np.float32, (2,), input_data_file=str(tmp_path / "x.npy"))

    @batch
    def function(x: Any) -> Any:
        log.append(x.tolist())
        return [x]

    assert run(function, warmup(1, x=item), path=tmp_path) == []
    assert log == [[[1, 2], [1, 2]]]
    (tmp_path / "x.npy").unlink()
    (failure,) = run(function, warmup(1, x=item), path=tmp_path)
    assert 'model "m": request 1 of 1 of warm-up "w" failed' in str(failure)
    assert "x.npy cannot be read" in str(failure)


def raising(error: BaseException) -> Callable[..., Any]:
    calls: list[Any] = []

    @batch
    def function(x: Any) -> Any:
        calls.append(x)
        if len(calls) == 2:
            raise error
        return [x]

    return function


@pytest.mark.parametrize(
    "error",
    [
        ArithmeticError("no good"),
        PyTritonUnrecoverableError("no good"),
        ConnectionResetError("no good"),
        SystemExit("no good"),
        asyncio.CancelledError("no good"),
    ],
)
def test_failure_ends_the_worker_and_says_why(
    error: BaseException, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (failure,) = run(raising(error), warmup(), path=tmp_path)
    assert isinstance(failure, PyTritonModelLoadError)
    assert str(failure).startswith('model "m": request 2 of 3 of warm-up "w" failed: Traceback')
    assert str(failure).endswith("no good")
    assert "test_warmup.py" in str(failure)
    assert "the worker has ended" in caplog.text
    assert "requests in" not in caplog.text


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (lambda x: [x[:1]], "must be the batch size 2"),
        (lambda x: {"y": x, "other": x}, '"other", which is not declared'),
        (lambda x: {"y": x[:, :1]}, r'output "y": got shape \(1,\) .*expected \(2,\)'),
        (lambda x: {"y": np.array([["a", "b"]] * 2)}, r'output "y": got dtype <U1'),
        (lambda x: None, "Unsupported output type NoneType"),
    ],
)
def test_results_are_checked_as_those_of_requests_are(outputs: Any, message: str, tmp_path: Path) -> None:
    (failure,) = run(batch(outputs), warmup(), path=tmp_path, strict=True)
    assert isinstance(failure, PyTritonModelLoadError)
    assert failure.message.startswith('model "m": request 1 of 3 of warm-up "w" failed: ')
    with pytest.raises(PyTritonModelLoadError, match=message):
        raise failure


def test_results_of_one_request_are_checked(tmp_path: Path) -> None:
    (failure,) = run(lambda requests: [{"y": np.array([[b"x"] * 2] * 2)}], warmup(), path=tmp_path)
    assert 'output "y": cannot convert' in str(failure)
    (failure,) = run(lambda requests: [], warmup(), path=tmp_path)
    assert "0 responses for 1 requests" in str(failure)
    (failure,) = run(batch(lambda x: iter(())), warmup(), path=tmp_path)
    assert "Unsupported output type" in str(failure)


def test_large_results_are_taken(tmp_path: Path) -> None:
    large = Tensor((-1,), np.float32, name="x")
    item = WarmupInput(np.float32, (1_000_000,), zero_data=True)
    assert run(batch(lambda x: [x]), warmup(2, x=item), path=tmp_path, inputs=[large]) == []


def test_results_that_do_not_fit_are_told_so(tmp_path: Path) -> None:
    large = Tensor((-1,), np.float32, name="x")
    item = WarmupInput(np.float32, (1_000_000,), zero_data=True)
    function, memory = batch(lambda x: [x]), 1 << 20
    (failure,) = run(
        function, warmup(x=item), path=tmp_path, inputs=[large], worker_shared_memory_bytes=memory
    )
    assert "the results need 8000" in str(failure)
    assert "ModelConfig(worker_shared_memory_bytes=...) sets it." in str(failure)


def test_workers_that_are_stopped_do_not_go_on(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()
    calls = []

    @batch
    def function(x: Any) -> Any:
        calls.append(x)
        entered.set()
        assert leave.wait(20)
        return [x]

    model = TritonModelConfig.create("m", [X], [Y], ModelConfig())
    failures: list[BaseException] = []
    workers = ThreadWorkers(
        WorkerSpec(model, str(tmp_path / "nobody"), warmups=[warmup()]), [function], failures.append
    )
    workers.start()
    assert entered.wait(20)
    assert not workers.stop(0.0)
    leave.set()
    assert workers.stop(20.0)
    assert len(calls) == 1
    assert failures == []
    with pytest.raises(PyTritonModelLoadError, match="stopped before they were warm"):
        workers.wait_warm()
