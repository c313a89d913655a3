# SPDX-License-Identifier: Apache-2.0
"""What a decorated function may return: outputs by name, or in the declared order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytriton.batching.context import require_model
from pytriton.exceptions import PyTritonValidationError

__all__ = ["name_outputs"]


def name_outputs(outputs: Any) -> dict[str, Any]:
    """Outputs by name: a dict as it is, a list or tuple in the order in which they are declared."""
    if isinstance(outputs, dict):
        return outputs
    if isinstance(outputs, (list, tuple)):
        return _by_position(outputs)
    raise PyTritonValidationError(
        f"Unsupported output type {type(outputs).__qualname__}: the function must return a dict of arrays "
        "by output name, or a list or tuple of arrays in the order of the declared outputs."
    )


def _by_position(outputs: Sequence[Any]) -> dict[str, Any]:
    model = require_model()
    specs = model.outputs or ()
    if len(outputs) != len(specs):
        names = ", ".join(f'"{spec.name}"' for spec in specs)
        raise PyTritonValidationError(
            f'model "{model.model_name}": the function returned {len(outputs)} outputs, '
            f"but {len(specs)} are declared: {names}."
        )
    return {spec.name: output for spec, output in zip(specs, outputs, strict=True)}
