# SPDX-License-Identifier: Apache-2.0
"""The common case of a call, compiled for one signature: arrays in, arrays out, whole ones or rows.

All that is to be checked is one condition then. Where it does not hold, the long way says what is wrong, or
does what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from pytriton import dtypes
from pytriton.app.signature import Signature
from pytriton.app.tensor_type import BATCH, Dimension, Form, TensorType
from pytriton.app.tensors import Tensors
from pytriton.request import Array

__all__ = ["checked_call"]

_PREFIX: Final = "_pytriton_"


def checked_call(function: Callable[..., Any], signature: Signature, tensors: Tensors) -> Callable[..., Any]:
    """A function called with arrays, or with rows of them, by name; its outputs by name. All are checked."""
    sizes_of, encode = tensors.dimensions.sizes, tensors.encode

    def call(**given: Any) -> dict[str, Array]:
        sizes = sizes_of(given)
        return encode(function(**tensors.arguments(given)), sizes)

    quick = _quick_call(function, signature, sizes_of, lambda result, given: encode(result, sizes_of(given)))
    return quick or call


def _quick_call(
    function: Callable[..., Any],
    signature: Signature,
    check: Callable[[Mapping[str, Any]], Any],
    encode: Callable[[Any, Mapping[str, Any]], Any],
) -> Callable[..., Any] | None:
    """A function that calls another one with arrays; None if it is no common case.

    Args:
        function: The function.
        signature: What its annotations say.
        check: Checks the dimensions of inputs, by the long way.
        encode: Checks and converts what the function returned, by the long way.
    """
    names = [each.name for each in signature.inputs]
    if not _is_common(signature) or any(name.startswith(_PREFIX) for name in names):
        return None
    values: dict[str, Any] = {"function": function, "check": check, "encode": encode, "ndarray": np.ndarray}
    values |= {"type": type, "len": len, "isinstance": isinstance}  # inputs may have such names
    values |= {f"dtype{index}": _dtype(kind) for index, kind in enumerate(signature.result.outputs.values())}
    if signature.result.container is not None:
        values["container"] = signature.result.container.type
    text = "\n".join(_lines(names, signature))
    scope: dict[str, Any] = {_PREFIX + name: value for name, value in values.items()}
    scope["__name__"] = __name__  # tracebacks begin behind frames of this package
    exec(compile(text.replace("$", _PREFIX), "<pytriton.app>", "exec"), scope)
    call: Callable[..., Any] = scope["call"]
    return call


def _is_common(signature: Signature) -> bool:
    container = signature.result.container
    kinds = [*(each.type for each in signature.inputs), *signature.result.outputs.values()]
    return (
        not (signature.is_async or signature.streaming)
        and not any(each.optional for each in signature.inputs)
        and (container is None or not container.is_mapping)
        and all(kind.form is Form.ARRAY and kind.element is not np.str_ for kind in kinds)
    )


def _dtype(kind: TensorType) -> np.dtype[Any]:
    return np.dtype(object) if kind.datatype is dtypes.BYTES else kind.datatype.numpy_dtype


def _lines(names: list[str], signature: Signature) -> Iterator[str]:
    """The source; $ stands for what is not the user's."""
    others = ["**$parameters"] if signature.parameters else []
    arguments = ", ".join([*(f"{name}={name}" for name in names), *others])
    arrays = ", ".join(f"{name!r}: {name}" for name in names)
    places: dict[str, str] = {}
    yield f"def call({', '.join([*(['*'] if names else []), *names, *others])}):"
    differing = [
        f"{each.name}.shape[{axis}] != {places[size]}"
        for each in signature.inputs
        for axis, size in enumerate(each.type.dims)
        if isinstance(size, str)
        and size != BATCH
        and places.setdefault(size, f"{each.name}.shape[{axis}]") != f"{each.name}.shape[{axis}]"
    ]
    if differing:
        yield f"    if {' or '.join(differing)}:"
        yield f"        $check({{{arrays}}})"
    yield f"    $result = $function({arguments})"
    outputs = signature.result.outputs
    indent = "    "
    if signature.result.container is None:
        yield "    $0 = $result"
    else:
        yield "    if $isinstance($result, $container):"
        indent = "        "
        yield from (f"{indent}${index} = $result.{name}" for index, name in enumerate(outputs))
    conditions: list[str] = []
    for index, kind in enumerate(outputs.values()):
        conditions += [f"$type(${index}) is $ndarray", f"${index}.dtype is $dtype{index}"]
        conditions += _shape_conditions(index, kind.dims, places)
    yield f"{indent}if {' and '.join(conditions)}:"
    returned = ", ".join(f"{name!r}: ${index}" for index, name in enumerate(outputs))
    yield f"{indent}    return {{{returned}}}"
    yield f"    return $encode($result, {{{arrays}}})"


def _shape_conditions(index: int, dims: tuple[Dimension, ...], places: dict[str, str]) -> Iterator[str]:
    yield f"$len(${index}.shape) == {len(dims)}"
    for axis, size in enumerate(dims):
        here = f"${index}.shape[{axis}]"
        if isinstance(size, str) and size != BATCH:
            if (place := places.setdefault(size, here)) != here:
                yield f"{here} == {place}"
        elif isinstance(size, int) and size > 0:
            yield f"{here} == {size}"
