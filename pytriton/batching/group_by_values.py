# SPDX-License-Identifier: Apache-2.0
"""The `group_by_values` decorator."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from pytriton.batching.batch_size import get_inference_request_batch_size
from pytriton.batching.context import is_decoupled
from pytriton.batching.groups import ENDED, Groups, wrap_groups
from pytriton.batching.outputs import name_outputs
from pytriton.batching.running_rows import RunningRows
from pytriton.batching.whole import takes_whole_batch
from pytriton.batching.wrapping import Call, takes_requests
from pytriton.exceptions import PyTritonRuntimeError
from pytriton.request import Array

__all__ = ["group_by_values"]

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
Results: TypeAlias = Sequence[dict[str, Array]]

_TEXT: frozenset[str] = frozenset("SUO")


def group_by_values(*keys: str, pad_fn: Callable[[Any], Any] | None = None) -> Decorator:
    """Call a function once for all rows of a batch that have the same values: put it under @batch.

    Args:
        *keys: Names of the inputs whose values are compared.
        pad_fn: Makes results of different shapes fit together, such as `ConstantPadder`; it is given a
            list with the outputs of each group.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        above_batch = takes_whole_batch(function)

        def split(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Groups:
            if above_batch or takes_requests(args):
                raise PyTritonRuntimeError(
                    "The @group_by_values decorator must be used after the @batch decorator: "
                    "put it on the line below, since it takes inputs by name."
                )
            return _split(keys, pad_fn, args, kwargs)

        return wrap_groups(function, split)

    return decorate


def _split(
    keys: Sequence[str], pad_fn: Callable[[Any], Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Groups:
    arrays = {name: value for name, value in kwargs.items() if isinstance(value, np.ndarray)}
    if missing := [key for key in keys if key not in arrays]:
        raise KeyError(
            f"@group_by_values: there is no input {missing[0]!r} to group by, only {list(arrays)}."
        )
    groups = _indices([arrays[key] for key in keys], get_inference_request_batch_size(arrays))
    if len(groups) == 1 and pad_fn is None:
        return Groups([Call(args, (), kwargs)], None)
    calls = [
        Call(args, (), {**kwargs, **{name: array[group] for name, array in arrays.items()}})
        for group in groups
    ]

    def merge(outputs: Sequence[Any]) -> dict[str, Array]:
        results: list[dict[str, Array]] = []
        running: list[list[int]] = []
        for group, each in zip(groups, outputs, strict=True):
            if each is not ENDED:
                result = name_outputs(each)
                rows = [group[row] for row in result.rows] if isinstance(result, RunningRows) else group
                _check_rows(len(rows), result)
                results.append(result)
                running.append(rows)
        return _merge(running, results if pad_fn is None else pad_fn(results), sum(map(len, groups)))

    return Groups(calls, merge, end_apart=is_decoupled())


def _indices(columns: Sequence[Array], rows: int) -> list[list[int]]:
    groups: dict[tuple[bytes, ...], list[int]] = {}
    for row in range(rows):
        groups.setdefault(tuple(_key(column[row : row + 1]) for column in columns), []).append(row)
    return [groups[key] for key in sorted(groups)]


def _key(value: Array) -> bytes:
    if value.dtype.kind not in _TEXT:
        return value.tobytes()
    strings = [s.encode() if isinstance(s, str) else s for s in value.ravel().tolist()]
    return b"".join(len(s).to_bytes(8, "little") + s for s in strings)


def _check_rows(rows: int, result: Mapping[str, Any]) -> None:
    for name, array in result.items():
        if not isinstance(array, np.ndarray) or array.shape[:1] != (rows,):
            given = (
                f"shape {array.shape}"
                if isinstance(array, np.ndarray)
                else f"type {type(array).__qualname__}"
            )
            raise ValueError(
                f'@group_by_values: output "{name}" of a group of {rows} rows has {given}; '
                "expected a numpy.ndarray with the size of the group as its first dimension."
            )


def _merge(groups: Sequence[list[int]], results: Results, rows: int) -> dict[str, Array]:
    running = sorted(itertools.chain(*groups))
    places = {row: place for place, row in enumerate(running)}
    groups = [[places[row] for row in group] for group in groups]
    merged = {
        name: _merge_output(name, len(running), groups, [result.get(name) for result in results])
        for name in dict.fromkeys(itertools.chain(*results))
    }
    return merged if len(running) == rows else RunningRows(merged, running)


def _merge_output(name: str, rows: int, groups: Sequence[list[int]], parts: Sequence[Array | None]) -> Array:
    present = [part for part in parts if part is not None]
    shapes = {part.shape[1:] for part in present}
    if len(shapes) > 1:
        raise ValueError(
            f'@group_by_values: the groups\' results for output "{name}" have different shapes: '
            f"{', '.join(str(part.shape) for part in present)}. Give it a pad_fn such as ConstantPadder()."
        )
    dtype = _common_dtype(name, [part.dtype for part in present])
    # What a group does not return is zero, or the empty string.
    merged: Array = np.zeros((rows, *shapes.pop()), dtype)
    if dtype.kind == "O":
        merged[...] = b""
    for group, part in zip(groups, parts, strict=True):
        if part is not None:
            merged[group] = part
    return merged


def _common_dtype(name: str, given: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """The dtype that holds the values of all."""
    kinds = {dtype.kind for dtype in given}
    if len(set(given)) == 1:
        return given[0]
    if kinds <= _TEXT:
        return max(given, key=lambda dtype: dtype.itemsize) if len(kinds) == 1 else np.dtype(object)
    if kinds & _TEXT:
        raise ValueError(
            f'@group_by_values: the groups\' results for output "{name}" are strings and numbers: '
            f"{', '.join(map(str, given))}."
        )
    return np.result_type(*given)
