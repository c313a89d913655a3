# SPDX-License-Identifier: Apache-2.0
"""What may serve as a function; and when it misbehaves: an error, and the next request is served."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NoReturn

import numpy as np
import pytest

from pytriton.decorators import batch, sample
from tests.helpers.server import Server, running
from tests.helpers.vectors import answer, document, outputs, vector_model

# --- kinds ------------------------------------------------------------------------------------------------


def plain(requests: list[Any]) -> list[Any]:
    assert type(requests) is list
    return [{"OUTPUT_1": request["INPUT_1"] + 1} for request in requests]


async def coroutine(requests: list[Any]) -> list[Any]:
    await asyncio.sleep(0)
    return plain(requests)


def generator(requests: list[Any]) -> Iterator[Any]:
    yield plain(requests)


async def async_generator(requests: list[Any]) -> AsyncIterator[Any]:
    await asyncio.sleep(0)
    yield plain(requests)


def by_name(**inputs: Any) -> dict[str, Any]:
    return {"OUTPUT_1": inputs["INPUT_1"] + 1}


def by_position(INPUT_1: Any) -> tuple[Any]:
    return (INPUT_1 + 1,)


async def coroutine_by_name(**inputs: Any) -> dict[str, Any]:
    await asyncio.sleep(0)
    return by_name(**inputs)


def generator_by_name(**inputs: Any) -> Iterator[Any]:
    yield [inputs["INPUT_1"] + 1]


async def async_generator_by_name(**inputs: Any) -> AsyncIterator[Any]:
    await asyncio.sleep(0)
    yield [inputs["INPUT_1"] + 1]


class Steps:
    """Methods of all kinds; the state is there to see that they are bound."""

    def __init__(self, step: int) -> None:
        self.step = step

    def method(self, requests: list[Any]) -> list[Any]:
        return [{"OUTPUT_1": request["INPUT_1"] + np.float32(self.step)} for request in requests]

    async def coroutine_method(self, requests: list[Any]) -> list[Any]:
        return self.method(requests)

    @batch
    def batch_method(self, **inputs: Any) -> list[Any]:
        return [inputs["INPUT_1"] + np.float32(self.step)]

    @sample
    def sample_method(self, INPUT_1: Any) -> list[Any]:
        return [INPUT_1 + np.float32(self.step)]

    @batch
    async def batch_coroutine_method(self, **inputs: Any) -> list[Any]:
        return [inputs["INPUT_1"] + np.float32(self.step)]

    @classmethod
    def class_method(cls, requests: list[Any]) -> list[Any]:
        return plain(requests)

    @staticmethod
    @batch
    def static_batch(**inputs: Any) -> list[Any]:
        return [inputs["INPUT_1"] + 1]


class Callee(Steps):
    def __call__(self, requests: list[Any]) -> list[Any]:
        return self.method(requests)


class BatchCallee(Steps):
    @batch
    def __call__(self, **inputs: Any) -> dict[str, Any]:
        return {"OUTPUT_1": inputs["INPUT_1"] + np.float32(self.step)}


class CoroutineCallee(Steps):
    async def __call__(self, requests: list[Any]) -> list[Any]:
        return self.method(requests)


def with_step(step: int, requests: list[Any]) -> list[Any]:
    return Steps(step).method(requests)


async def coroutine_with_step(step: int, requests: list[Any]) -> list[Any]:
    return Steps(step).method(requests)


def keyword_step(requests: list[Any], *, step: int) -> list[Any]:
    return Steps(step).method(requests)


def batch_with_step(step: int, **inputs: Any) -> list[Any]:
    return [inputs["INPUT_1"] + np.float32(step)]


STEPS = Steps(1)
KINDS: dict[str, Callable[..., Any]] = {
    "function": plain,
    "lambda": lambda requests: plain(requests),
    "coroutine": coroutine,
    "generator": generator,
    "async_generator": async_generator,
    "lambda_of_coroutine": lambda requests: coroutine(requests),
    "lambda_of_generator": lambda requests: generator(requests),
    "method": STEPS.method,
    "coroutine_method": STEPS.coroutine_method,
    "class_method": Steps.class_method,
    "object": Callee(1),
    "coroutine_object": CoroutineCallee(1),
    "partial": functools.partial(with_step, 1),
    "partial_of_keyword": functools.partial(keyword_step, step=1),
    "partial_of_partial": functools.partial(functools.partial(keyword_step), step=1),
    "partial_of_coroutine": functools.partial(coroutine_with_step, 1),
    "partial_of_object": functools.partial(Callee(1)),
    "batch_function": batch(by_name),
    "batch_by_position": batch(by_position),
    "batch_lambda": batch(lambda **inputs: [inputs["INPUT_1"] + 1]),
    "batch_coroutine": batch(coroutine_by_name),
    "batch_generator": batch(generator_by_name),
    "batch_async_generator": batch(async_generator_by_name),
    "batch_method": STEPS.batch_method,
    "batch_coroutine_method": STEPS.batch_coroutine_method,
    "batch_static_method": Steps.static_batch,
    "batch_object": BatchCallee(1),
    "batch_of_partial": batch(functools.partial(batch_with_step, 1)),
    "partial_of_batch": functools.partial(batch(batch_with_step), 1),
    "batch_of_bound_method": batch(functools.partial(batch_with_step, 1).__call__),
}
SAMPLE_KINDS: dict[str, Callable[..., Any]] = {
    "sample_function": sample(by_name),
    "sample_by_position": sample(by_position),
    "sample_lambda": sample(lambda **inputs: [inputs["INPUT_1"] + 1]),
    "sample_coroutine": sample(coroutine_by_name),
    "sample_generator": sample(generator_by_name),
    "sample_async_generator": sample(async_generator_by_name),
    "sample_method": STEPS.sample_method,
    "sample_of_partial": sample(functools.partial(batch_with_step, 1)),
    "partial_of_sample": functools.partial(sample(batch_with_step), 1),
}


@pytest.fixture(scope="module")
def kinds(module_leaves_nothing: None) -> Iterator[Server]:
    models = [vector_model(name, function) for name, function in KINDS.items()]
    models += [vector_model(f"{name}.single", function, batching=False) for name, function in KINDS.items()]
    models += [vector_model(name, function, batching=False) for name, function in SAMPLE_KINDS.items()]
    with running(*models) as server:
        for model in models:  # the event loops of coroutines last as long as the server
            server.infer(model.name, document(1, batching=model.config is None or model.config.batching))
        yield server


@pytest.mark.parametrize("name", [*KINDS, *SAMPLE_KINDS])
def test_kind(name: str, kinds: Server) -> None:
    single = document(1, 2, 3, batching=False)
    if name in KINDS:
        assert answer(kinds, name, 1, 2, 3) == [2, 3, 4]
        name += ".single"
    assert outputs(kinds.infer(name, single)) == [2, 3, 4]
    assert outputs(kinds.infer(name, single)) == [2, 3, 4]


# --- faults -----------------------------------------------------------------------------------------------


class ErrorWithoutWords(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no words")


class ErrorWithBadRepr(Exception):
    __repr__ = __str__ = lambda self: 3  # type: ignore[assignment,return-value]


def raising(kind: type[BaseException], *words: object) -> Callable[..., Any]:
    def function(requests: list[Any]) -> NoReturn:
        raise kind(*words)

    return function


def returning(value: Any) -> Callable[..., Any]:
    return lambda requests: value(requests) if callable(value) else value


def recurse(requests: list[Any]) -> Any:
    return recurse(requests)


def chain(requests: list[Any]) -> Any:
    try:
        raise KeyError("the first")
    except KeyError as error:
        raise OSError("the second") from error


def group(requests: list[Any]) -> Any:
    raise ValueError("in a cycle") from circular()


def circular() -> Exception:
    first, second = ValueError("one"), ValueError("two")
    first.__cause__, second.__cause__ = second, first
    return first


def batch_of(value: Any) -> Callable[..., Any]:
    @batch
    def function(**inputs: Any) -> Any:
        return value

    return function


@batch
def one_row_more(INPUT_1: Any) -> list[Any]:
    return [np.concatenate([INPUT_1, INPUT_1])]


def two_yields(requests: list[Any]) -> Iterator[Any]:
    yield plain(requests)
    yield plain(requests)


def no_yield(requests: list[Any]) -> Iterator[Any]:
    yield from ()


def failing_after_yield(requests: list[Any]) -> Iterator[Any]:
    yield plain(requests)
    raise ValueError("after its answer")


async def two_async_yields(requests: list[Any]) -> AsyncIterator[Any]:
    yield plain(requests)
    yield plain(requests)


async def no_async_yield(requests: list[Any]) -> AsyncIterator[Any]:
    for _ in ():
        yield


async def cancelled(requests: list[Any]) -> None:
    raise asyncio.CancelledError


async def exits(requests: list[Any]) -> None:
    sys.exit(3)


ROW = np.ones((1, 2), np.float32)
FAULTS: dict[str, tuple[Callable[..., Any], str]] = {
    "raises": (raising(ValueError, "my words"), "ValueError: my words"),
    "chain": (chain, "KeyError: 'the first'"),
    "cycle": (group, "ValueError: in a cycle"),
    "huge_message": (raising(ValueError, "x" * 50_000_000 + "the end"), "the end"),
    "surrogates": (raising(ValueError, "\ud800 and \0 and \x1b"), "ValueError: \\ud800 and \\0 and \x1b"),
    "no_words": (raising(ErrorWithoutWords), "ErrorWithoutWords"),
    "bad_repr": (raising(ErrorWithBadRepr), "ErrorWithBadRepr"),
    "system_exit": (raising(SystemExit, 3), "SystemExit: 3"),
    "interrupt": (raising(KeyboardInterrupt), "KeyboardInterrupt"),
    "generator_exit": (raising(GeneratorExit), "GeneratorExit"),
    "stop_iteration": (raising(StopIteration), "StopIteration"),
    "memory": (raising(MemoryError), "MemoryError"),
    "recursion": (recurse, "RecursionError: maximum recursion depth exceeded"),
    "cancelled": (cancelled, "CancelledError"),
    "exits": (exits, "SystemExit: 3"),
    "none": (returning(None), "an object of type NoneType"),
    "number": (returning(3), "an object of type int"),
    "array": (returning(ROW), "an object of type ndarray"),
    "dict": (returning({"OUTPUT_1": ROW}), "an object of type dict"),
    "tuple": (returning(({"OUTPUT_1": ROW},)), "an object of type tuple"),
    "no_responses": (returning([]), "returned 0 responses for 1 requests"),
    "two_responses": (returning([{"OUTPUT_1": ROW}] * 2), "returned 2 responses for 1 requests"),
    "no_dict": (returning([[ROW]]), "a list with an object of type list"),
    "no_array": (returning([{"OUTPUT_1": [[1.0, 2.0]]}]), "got an object of type builtins.list"),
    "none_array": (returning([{"OUTPUT_1": None}]), "got an object of type builtins.NoneType"),
    "number_as_name": (returning([{3: ROW}]), "an output named 3; expected a string"),
    "batch_size": (returning([{"OUTPUT_1": np.ones((2, 2))}]), "got shape (2, 2); expected the batch size 1"),
    "scalar": (returning([{"OUTPUT_1": np.float32(1)}]), "expected the batch size 1"),
    "complex": (returning([{"OUTPUT_1": ROW * 1j}]), "got dtype complex64"),
    "dates": (returning([{"OUTPUT_1": ROW.astype("datetime64[s]")}]), "got dtype datetime64[s]"),
    "records": (returning([{"OUTPUT_1": np.zeros((1, 2), "i4,f4")}]), "of kind 'V'"),
    "words": (returning([{"OUTPUT_1": np.array([["a", "b"]])}]), "cannot convert"),
    "objects": (returning([{"OUTPUT_1": np.array([[object()]])}]), 'output "OUTPUT_1"'),
    "rank": (returning([{"OUTPUT_1": np.ones((1,) * 17)}]), "17 dimensions; at most 16"),
    "module": (returning([{"OUTPUT_1": np}]), "got an object of type builtins.module"),
    "batch_none": (batch_of(None), "Unsupported output type NoneType"),
    "batch_array": (batch_of(ROW), "Unsupported output type ndarray"),
    "batch_too_many": (batch_of([ROW, ROW]), "returned 2 outputs, but 1 are declared"),
    "batch_no_array": (batch_of({"OUTPUT_1": 3}), 'output "OUTPUT_1" is of type int'),
    "batch_rows": (one_row_more, 'must be the batch size 1, but "OUTPUT_1" has shape (2, 2)'),
    "no_arguments": (lambda: None, "takes 0 positional arguments but 1 was given"),
    "two_yields": (two_yields, "yielded more than once"),
    "no_yield": (no_yield, "yielded nothing"),
    "two_async_yields": (two_async_yields, "yielded more than once"),
    "no_async_yield": (no_async_yield, "yielded nothing"),
    "failing_after_yield": (failing_after_yield, "ValueError: after its answer"),
}
STRICT_FAULTS: dict[str, tuple[Callable[..., Any], str]] = {
    "strict_name": (returning([{"OTHER": ROW}]), 'an output "OTHER", which is not declared'),
    "strict_dtype": (
        returning([{"OUTPUT_1": ROW.astype(np.float64)}]),
        "expected float32, and bind() was told",
    ),
    "strict_rank": (returning([{"OUTPUT_1": ROW[..., None]}]), "got shape (2, 1) without the batch"),
}


class Once:
    """A function that misbehaves when it is asked to, by a negative number, and works otherwise."""

    def __init__(self, fault: Callable[..., Any]) -> None:
        self._fault = fault

    def __call__(self, requests: Any) -> Any:
        if requests[0]["INPUT_1"][0, 0] < 0:
            return self._fault(requests)
        return plain(requests)


@pytest.fixture(scope="module")
def faults(module_leaves_nothing: None) -> Iterator[Server]:
    models = [vector_model(name, Once(fault)) for name, (fault, _) in FAULTS.items()]
    models += [vector_model(name, Once(fault), strict=True) for name, (fault, _) in STRICT_FAULTS.items()]
    with running(*models) as server:
        for model in models:
            server.infer(model.name, document(-1))
        yield server


@pytest.mark.parametrize("name", [*FAULTS, *STRICT_FAULTS])
def test_fault(name: str, faults: Server) -> None:
    _, words = {**FAULTS, **STRICT_FAULTS}[name]
    reply = faults.infer(name, document(-1, 2))
    assert reply.status == 500
    assert words in reply.error
    assert len(reply.body) < 64 * 1024
    assert answer(faults, name, 1, 2) == [2, 3]
    assert faults.triton.is_alive()
