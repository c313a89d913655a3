# SPDX-License-Identifier: Apache-2.0
"""The `fill_optionals` decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pytriton import dtypes
from pytriton.batching.batch_size import get_inference_request_batch_size
from pytriton.batching.context import require_model
from pytriton.batching.whole import mark_whole, requests_for, takes_whole_batch
from pytriton.batching.wrapping import Call, wrap
from pytriton.exceptions import PyTritonBadParameterError, PyTritonValidationError
from pytriton.request import Array, Request, RequestBatch

if TYPE_CHECKING:
    from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

__all__ = ["fill_optionals"]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def fill_optionals(**defaults: Array) -> Decorator:
    """Give requests the inputs that they lack: put it above all other decorators.

    Args:
        **defaults: Values by input name, without the batch dimension.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        whole = takes_whole_batch(function)
        last: tuple[TritonModelConfig | None, dict[str, Array]] = None, {}

        def enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
            nonlocal last
            *bound, requests = args
            checked, values = last
            model = require_model()
            if checked is not model:
                values = _checked(model, defaults)
                last = model, values
            return Call(bound, (requests_for(whole, _filled(model, requests, values)),), kwargs)

        wrapper = wrap(function, enter)
        mark_whole(wrapper)
        return wrapper

    return decorate


def _filled(
    model: TritonModelConfig, requests: Sequence[Request], values: Mapping[str, Array]
) -> Sequence[Request]:
    if isinstance(requests, RequestBatch) and requests.untouched:
        missing = _missing(model, requests.inputs, values, requests.total_rows)
        return requests.with_inputs({**requests.inputs, **missing}) if missing else requests
    for request in requests:
        rows = get_inference_request_batch_size(request) if model.batching else 0
        for name, array in _missing(model, request, values, rows).items():
            request[name] = array
    return requests


def _missing(
    model: TritonModelConfig, inputs: Any, values: Mapping[str, Array], rows: int
) -> dict[str, Array]:
    # Copies in any case: functions may write into their inputs.
    return {
        name: np.repeat(value[np.newaxis], rows, axis=0) if model.batching else value.copy()
        for name, value in values.items()
        if name not in inputs
    }


def _checked(model: TritonModelConfig, defaults: Mapping[str, Any]) -> dict[str, Array]:
    specs = {spec.name: spec for spec in model.inputs or ()}
    return {name: _checked_value(model, specs, name, value) for name, value in defaults.items()}


def _checked_value(model: TritonModelConfig, specs: Mapping[str, TensorSpec], name: str, value: Any) -> Array:
    where = f'@fill_optionals: model "{model.model_name}", input "{name}"'
    spec = specs.get(name)
    if spec is None:
        declared = ", ".join(f'"{other}"' for other in specs) or "none"
        raise PyTritonBadParameterError(f"{where}: no such input is declared; declared are {declared}.")
    if not isinstance(value, np.ndarray):
        raise PyTritonBadParameterError(
            f"{where}: Could not use {name}={value!r} among the defaults, as they are not NumPy arrays."
        )
    if _datatype(value) != spec.datatype:
        raise PyTritonBadParameterError(
            f"{where}: Could not use {name}: dtype={value.dtype}, as defaults must not have different than "
            f"input signature dtypes, and {spec.datatype.name} is declared."
        )
    shape = tuple(spec.shape)
    if len(shape) != value.ndim or any(e not in (-1, n) for e, n in zip(shape, value.shape, strict=True)):
        raise PyTritonBadParameterError(
            f"{where}: Could not use {name}: shape={value.shape}, as defaults must not have different than "
            f"input signature shapes, and {shape} is declared; both are without the batch dimension."
        )
    return _as_bytes(value) if spec.datatype is dtypes.BYTES else value


def _datatype(value: Array) -> dtypes.DataType | None:
    try:
        return dtypes.resolve(value.dtype)
    except PyTritonValidationError:
        return None


def _as_bytes(value: Array) -> Array:
    """Strings in the form that requests bring them."""
    strings = [s.encode() if isinstance(s, str) else s for s in value.ravel().tolist()]
    array: Array = np.empty(len(strings), dtype=object)
    array[:] = strings
    return array.reshape(value.shape)
