# SPDX-License-Identifier: Apache-2.0
"""What a decorated function may return: outputs by name, or in the declared order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pytriton.batching.context import require_model
from pytriton.batching.triton_context import get_model_config
from pytriton.exceptions import PyTritonValidationError

if TYPE_CHECKING:
    from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["convert_output", "name_outputs"]


def name_outputs(outputs: Any, model: TritonModelConfig | None = None) -> dict[str, Any]:
    """Outputs by name: a dict as it is, a list or tuple in the order in which they are declared."""
    if isinstance(outputs, dict):
        return outputs
    if isinstance(outputs, (list, tuple)):
        return _by_position(outputs, model or require_model())
    raise PyTritonValidationError(
        f"Unsupported output type {type(outputs).__qualname__}: the function must return a dict of arrays "
        "by output name, or a list or tuple of arrays in the order of the declared outputs."
    )


def convert_output(
    outputs: Any,
    wrapped: Callable[..., Any] | None = None,
    instance: Any = None,
    model_config: TritonModelConfig | None = None,
) -> dict[str, Any]:
    """Outputs by name, for decorators of one's own.

    Args:
        outputs: A dict, or a list or tuple in the order in which outputs are declared.
        wrapped: The decorated function.
        instance: The object whose method it is, if it is one.
        model_config: The model, if it is known; else it is the one that the function serves.
    """
    if model_config is None and wrapped is not None and isinstance(outputs, (list, tuple)):
        model_config = get_model_config(wrapped, instance)
    return name_outputs(outputs, model_config)


def _by_position(outputs: Sequence[Any], model: TritonModelConfig) -> dict[str, Any]:
    specs = model.outputs or ()
    if len(outputs) != len(specs):
        names = ", ".join(f'"{spec.name}"' for spec in specs)
        raise PyTritonValidationError(
            f'model "{model.model_name}": the function returned {len(outputs)} outputs, '
            f"but {len(specs)} are declared: {names}."
        )
    return {spec.name: output for spec, output in zip(specs, outputs, strict=True)}
