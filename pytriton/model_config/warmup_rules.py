# SPDX-License-Identifier: Apache-2.0
"""What the warm-up of a model must satisfy: its inputs are ones that clients could send."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from pytriton import dtypes
from pytriton.exceptions import PyTritonBadParameterError, PyTritonValidationError
from pytriton.model_config.warmup import ModelWarmup, WarmupInput

if TYPE_CHECKING:
    from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

__all__ = ["check_warmups"]

LOGGER = logging.getLogger(__name__)


def check_warmups(model: TritonModelConfig, warmups: Any) -> None:
    """Check all warm-ups of a model."""
    if warmups is None:
        return
    if not isinstance(warmups, Sequence) or isinstance(warmups, (str, bytes)):
        raise _error(model, f"`model_warmup` must be a list of ModelWarmup, got {warmups!r}")
    for warmup in warmups:
        if not isinstance(warmup, ModelWarmup):
            raise _error(model, f"`model_warmup` must be a list of ModelWarmup, got {warmup!r} in it")
        _check_numbers(model, warmup)
        _check_inputs(model, warmup)


def _check_numbers(model: TritonModelConfig, warmup: ModelWarmup) -> None:
    for name, least in (("batch_size", int(model.batching)), ("count", 0)):
        value: Any = getattr(warmup, name)
        if not _is_int(value) or value < least:
            raise _error(
                model,
                f'warm-up "{warmup.name}": `{name}` must be an integer of {least} or more, got {value!r}',
            )


def _check_inputs(model: TritonModelConfig, warmup: ModelWarmup) -> None:
    if not isinstance(warmup.inputs, Mapping):
        raise _error(
            model,
            f'warm-up "{warmup.name}": `inputs` must be a dict of WarmupInput by input name, '
            f"got {warmup.inputs!r}",
        )
    specs = {spec.name: spec for spec in model.inputs or ()}
    for name, item in warmup.inputs.items():
        if name not in specs:
            declared = ", ".join(f'"{other}"' for other in specs) or "none"
            raise _error(
                model, f'warm-up "{warmup.name}" has an input "{name}"; declared inputs are {declared}'
            )
        _check_input(model, f'warm-up "{warmup.name}", input "{name}"', item, specs[name])
    for spec in specs.values():
        if not spec.optional and spec.name not in warmup.inputs:
            # Functions that take any inputs work without it, and programs for PyTriton 0.7 count on that.
            LOGGER.warning(
                'model "%s": warm-up "%s" leaves out input "%s", which no client can: it is not optional.',
                model.model_name,
                warmup.name,
                spec.name,
            )


def _check_input(model: TritonModelConfig, where: str, item: Any, spec: TensorSpec) -> None:
    if not isinstance(item, WarmupInput):
        raise _error(model, f"{where}: expected a WarmupInput, got {item!r}")
    if not (item.zero_data or item.random_data or item.input_data_file):
        raise _error(
            model, f"{where}: one of `zero_data`, `random_data` or `input_data_file` must be provided"
        )
    if _datatype(item.dtype) is not spec.datatype:
        raise _error(model, f"{where}: `dtype` is {item.dtype!r}, declared is {spec.datatype.name}")
    if not _fits(item.shape, spec.shape):
        raise _error(
            model,
            f"{where}: `shape` is {item.shape!r}, declared is {tuple(spec.shape)}; every dimension "
            "needs a size, and the batch dimension is left out",
        )


def _datatype(dtype: Any) -> dtypes.DataType | None:
    try:
        return dtypes.resolve(dtype)
    except PyTritonValidationError:
        return None


def _fits(shape: Any, declared: Sequence[int]) -> bool:
    if not isinstance(shape, Sequence) or isinstance(shape, (str, bytes)) or len(shape) != len(declared):
        return False
    return all(
        _is_int(size) and size >= 0 and expected in (-1, size)
        for size, expected in zip(shape, declared, strict=True)
    )


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _error(model: TritonModelConfig, what: str) -> PyTritonBadParameterError:
    return PyTritonBadParameterError(f'model "{model.model_name}": {what}.')
