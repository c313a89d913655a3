# SPDX-License-Identifier: Apache-2.0
"""What a worker process is sent: the function or what makes it, as bytes."""

from __future__ import annotations

import inspect
import io
import reprlib
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, ClassVar, Final

import cloudpickle

from pytriton.exceptions import PyTritonValidationError
from pytriton.workers import WorkerProcesses

__all__ = ["makes_function", "pack_job"]

_NO_FILE: Final = "<dynamic-code>"
_ADVICE: Final = (
    "Make it in the worker process instead: in the constructor of a class that is given as infer_func, or in "
    "a function with WorkerProcesses(factory=True)."
)
# Arguments may be large.
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200


def pack_job(
    model_name: str,
    infer_func: Callable[..., Any],
    workers: WorkerProcesses,
    trace_config: Sequence[str] | None = None,
) -> bytes:
    """Pickle what a process makes its function of; what cannot be sent is named."""
    factory = makes_function(infer_func, workers)
    where = f'model "{model_name}"'
    _check_call(where, infer_func, workers, factory=factory)
    job = {
        "infer_func": infer_func,
        "factory": factory,
        "args": list(workers.args),
        "kwargs": dict(workers.kwargs),
        "devices": list(workers.devices),
        "health_check": workers.health_check,
        "trace_config": None if trace_config is None else list(trace_config),
    }
    try:
        return _pickled(job)
    except Exception as error:
        name, cause = _culprit(infer_func, workers) or ("what it needs", error)
        raise PyTritonValidationError(
            f"{where}: {name} cannot be sent to a worker process: {cause}. {_ADVICE}"
        ) from error


def makes_function(infer_func: Callable[..., Any], workers: WorkerProcesses) -> bool:
    """Whether a class or factory was given, and not the function that is served."""
    return inspect.isclass(infer_func) if workers.factory is None else workers.factory


def _reduce_code(code: CodeType) -> tuple[Any, ...]:
    constructor, arguments = cloudpickle.Pickler.dispatch_table[CodeType](code)
    return constructor, tuple(code.co_filename if part == _NO_FILE else part for part in arguments)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Keeps the names of files, so that tracebacks of functions of a script show its lines."""

    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {CodeType: _reduce_code}, cloudpickle.Pickler.dispatch_table
    )


def _pickled(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def _check_call(
    where: str, infer_func: Callable[..., Any], workers: WorkerProcesses, *, factory: bool
) -> None:
    if not factory:
        if workers.args or workers.kwargs:
            raise PyTritonValidationError(
                f"{where}: args and kwargs are for a class or a factory, but {infer_func!r} is called as it "
                "is. If it makes the function, say WorkerProcesses(factory=True)."
            )
        return
    try:
        signature = inspect.signature(infer_func)
    except (TypeError, ValueError):
        return
    options: Mapping[str, Any] = workers.kwargs
    if "device" in signature.parameters and "device" not in options:
        options = {**options, "device": workers.device(0)}
    try:
        signature.bind(*workers.args, **options)
    except TypeError as error:
        raise PyTritonValidationError(
            f"{where}: {infer_func!r} cannot be called with args={_SHORT.repr(list(workers.args))} and "
            f"kwargs={_SHORT.repr(dict(workers.kwargs))} of WorkerProcesses: {error}."
        ) from None


def _culprit(infer_func: Callable[..., Any], workers: WorkerProcesses) -> tuple[str, Exception] | None:
    for name, part in _parts(infer_func, workers):
        try:
            _pickled(part)
        except Exception as error:
            inner = _culprit_inside(part)
            return (name, error) if inner is None else (f"{name}, which uses {inner[0]},", inner[1])
    return None


def _parts(infer_func: Callable[..., Any], workers: WorkerProcesses) -> Iterator[tuple[str, Any]]:
    yield from ((f"args[{index}] ({_SHORT.repr(value)})", value) for index, value in enumerate(workers.args))
    yield from ((f"kwargs[{name!r}] ({_SHORT.repr(value)})", value) for name, value in workers.kwargs.items())
    yield "health_check", workers.health_check
    yield f"infer_func ({infer_func!r})", infer_func


def _culprit_inside(part: Any) -> tuple[str, Exception] | None:
    """The variable of a function, or attribute of an object, that cannot be sent."""
    for name, value in _variables(part).items():
        try:
            _pickled(value)
        except Exception as error:
            return f'"{name}" ({_SHORT.repr(value)})', error
    return None


def _variables(part: Any) -> dict[str, Any]:
    if inspect.ismethod(part):
        part = part.__self__
    part = inspect.unwrap(part) if callable(part) else part
    if inspect.isclass(part):
        found: dict[str, Any] = {}
        for method in vars(part).values():
            found.update(_variables(method) if inspect.isfunction(method) else {})
        return found
    if inspect.isfunction(part):
        try:
            names = inspect.getclosurevars(part)
        except ValueError:  # a variable that has no value yet
            return {}
        return {**names.globals, **names.nonlocals}
    return dict(getattr(part, "__dict__", {}))
