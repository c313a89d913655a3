# SPDX-License-Identifier: Apache-2.0
"""The `pad_batch` decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pytriton.batching.batch_size import get_inference_request_batch_size
from pytriton.batching.context import require_model
from pytriton.batching.running_rows import RunningRows
from pytriton.batching.wrapping import Call, wrap
from pytriton.exceptions import PyTritonRuntimeError

if TYPE_CHECKING:
    from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["pad_batch"]


def pad_batch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a function with batches of the preferred sizes only: put it under @batch.

    The last row is repeated as often as it takes; of the outputs the rows that were asked for are kept.
    """
    return wrap(function, _enter, _trim)


def _enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    model = require_model()
    arrays = {name: value for name, value in kwargs.items() if isinstance(value, np.ndarray)}
    rows = get_inference_request_batch_size(arrays)
    size = _padded_size(model, rows)
    if size == rows:
        return Call(args, (), kwargs)
    padded = {name: _pad(array, size) for name, array in arrays.items()}
    return Call(args, (), {**kwargs, **padded}, (rows, size))


def _padded_size(model: TritonModelConfig, rows: int) -> int:
    if not model.batching:
        raise PyTritonRuntimeError(
            "The @pad_batch decorator can only be used with models that support batching. "
            f'Model "{model.model_name}" has no batch to pad: '
            "remove the decorator, or set ModelConfig(batching=True)."
        )
    preferred = () if model.batcher is None else model.batcher.preferred_batch_size or ()
    return min((size for size in (*preferred, model.max_batch_size) if size >= rows), default=rows)


def _pad(array: Any, size: int) -> Any:
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])


def _trim(sizes: tuple[int, int] | None, outputs: Any) -> Any:
    if sizes is None:
        return outputs
    if isinstance(outputs, RunningRows):
        return outputs.first(sizes[0])
    if isinstance(outputs, Mapping):
        return {name: _trim_array(sizes, output) for name, output in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return [_trim_array(sizes, output) for output in outputs]
    return outputs


def _trim_array(sizes: tuple[int, int], output: Any) -> Any:
    rows, size = sizes
    return output[:rows] if isinstance(output, np.ndarray) and output.shape[:1] == (size,) else output
