# SPDX-License-Identifier: Apache-2.0
"""Requests to send to a model before it counts as ready: what they consist of, and their data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytriton import dtypes
from pytriton.exceptions import PyTritonBadParameterError, PyTritonValidationError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ModelWarmup", "WarmupInput", "generate_warmup_data", "generate_warmup_requests"]

_LETTERS: Final = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
_SHORTEST: Final = 8
_LONGEST: Final = 32
# Small integers may be anything, larger ones are often numbers of something: indices, counts, tokens.
_LARGE: Final = 100
_SMALL_INTEGER_SIZE: Final = 2
# As many bits as a mantissa has, so that nothing is rounded up to 1.
_MANTISSA_BITS: Final = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


@dataclass
class WarmupInput:
    """Data of one input of a warm-up request: zeros, random values or an .npy file.

    Args:
        dtype: Type of the values.
        shape: Shape without the batch dimension.
        zero_data: Send zeros, or empty strings.
        random_data: Send random values.
        input_data_file: Send the contents of this file.
    """

    dtype: npt.DTypeLike
    shape: Sequence[int]
    zero_data: bool | None = False
    random_data: bool | None = False
    input_data_file: str | None = None


@dataclass
class ModelWarmup:
    """Requests to send to a model before it counts as ready.

    Args:
        name: Name of the warm-up, for log messages.
        batch_size: Rows of each request; without meaning when batching is off.
        inputs: Data by input name.
        count: Number of requests.
    """

    name: str
    batch_size: int
    inputs: dict[str, WarmupInput]
    count: int


def generate_warmup_data(warmup_input: WarmupInput, batch_size: int | None) -> npt.NDArray[Any]:
    """Make the data of one input.

    Args:
        warmup_input: What to make.
        batch_size: Rows; None for models without batching, whose arrays have no batch dimension.
    """
    try:
        datatype = dtypes.resolve(warmup_input.dtype)
        dtype = datatype.numpy_dtype
    except PyTritonValidationError as error:
        raise PyTritonBadParameterError(error.message) from None
    shape = (*(() if batch_size is None else (batch_size,)), *warmup_input.shape)
    if warmup_input.input_data_file:
        return _from_file(str(warmup_input.input_data_file), dtype, shape, batched=batch_size is not None)
    if warmup_input.zero_data:
        return np.full(shape, b"", dtype) if datatype is dtypes.BYTES else np.zeros(shape, dtype)
    if warmup_input.random_data:
        return _random(datatype, dtype, shape)
    raise PyTritonBadParameterError(
        "One of `zero_data`, `random_data` or `input_data_file` must be provided for a warm-up input."
    )


def generate_warmup_requests(
    model_warmup: Sequence[ModelWarmup] | None, input_specs: Sequence[Any], outputs_specs: Sequence[Any]
) -> list[dict[str, npt.NDArray[Any]]]:
    """Make the inputs of all requests, with a batch dimension.

    Args:
        model_warmup: What to make.
        input_specs: Inputs of the model; a warm-up has no others. Without any, names are not looked at.
        outputs_specs: Outputs of the model, which make no difference.
    """
    names = {spec.name for spec in input_specs}
    for warmup in model_warmup or ():
        if names and (unknown := sorted(set(warmup.inputs) - names)):
            raise PyTritonBadParameterError(
                f'Warm-up "{warmup.name}" has an input "{unknown[0]}"; '
                f"the model has {', '.join(sorted(names))}."
            )
    return [
        {name: generate_warmup_data(item, warmup.batch_size) for name, item in warmup.inputs.items()}
        for warmup in model_warmup or ()
        for _ in range(warmup.count)
    ]


def _random(datatype: dtypes.DataType, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    generator = np.random.default_rng()
    if datatype is dtypes.BYTES:
        strings: npt.NDArray[Any] = np.empty(math.prod(shape), dtype)
        strings[:] = list(_random_strings(generator, strings.size))
        return strings.reshape(shape)
    if datatype.numpy_name in _MANTISSA_BITS:
        steps = 2 ** _MANTISSA_BITS[datatype.numpy_name]
        return np.asarray(generator.integers(0, steps, shape) / steps).astype(dtype)
    if dtype.kind == "b":
        return np.asarray(generator.integers(0, 2, shape), dtype)
    if datatype.byte_size > _SMALL_INTEGER_SIZE:
        return np.asarray(generator.integers(0, _LARGE, shape, dtype))
    limits = np.iinfo(dtype)
    return np.asarray(generator.integers(limits.min, limits.max, shape, dtype, endpoint=True))


def _random_strings(generator: np.random.Generator, count: int) -> Iterator[bytes]:
    for length in generator.integers(_SHORTEST, _LONGEST, count, endpoint=True):
        yield _LETTERS[generator.integers(0, len(_LETTERS), length)].tobytes()


def _from_file(path: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, batched: bool) -> npt.NDArray[Any]:
    try:
        data = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise PyTritonBadParameterError(f"The warm-up data {path} cannot be read: {error}") from None
    if not isinstance(data, np.ndarray):
        data.close()
        raise PyTritonBadParameterError(f"The warm-up data {path} must be one array, as np.save() writes it.")
    if batched and data.shape == shape[1:]:
        data = np.broadcast_to(data, shape)
    elif batched and data.ndim == len(shape) and data.shape[1:] == shape[1:] and len(data):
        data = data[np.arange(shape[0]) % len(data)]  # again from the start as often as it takes
    if data.shape != shape:
        raise PyTritonBadParameterError(
            f"The warm-up data {path} has shape {data.shape}; expected {shape}"
            + (", the same without the batch dimension, or with any number of rows." if batched else ".")
        )
    return _converted(path, data, dtype)


def _converted(path: str, data: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if data.dtype.kind == "U":
        data = np.char.encode(data, "utf-8")
    if (data.dtype.kind == "S") != (dtype.kind == "O"):
        raise PyTritonBadParameterError(
            f"The warm-up data {path} is of dtype {data.dtype}, which cannot become {dtype}."
        )
    return data.astype(dtype)
