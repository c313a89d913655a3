# SPDX-License-Identifier: Apache-2.0
"""The documentation of models, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytriton.app.model import Model
from pytriton.app.tensor_type import Dimension, TensorType

__all__ = ["describe"]


def describe(models: Sequence[Model]) -> str:
    """What the models take and give, as Markdown."""
    return "\n".join(line for model in models for line in _section(model))


def _section(model: Model) -> Iterator[str]:
    yield f"## {model.name}"
    yield ""
    if model.description:
        yield model.description
        yield ""
    yield " ".join(_facts(model))
    yield ""
    yield "| | name | datatype | shape | |"
    yield "| --- | --- | --- | --- | --- |"
    for each in model.inputs:
        yield _row("input", each.name, each.type, "optional" if each.optional else "")
    for parameter in model.parameters:
        choices = " or ".join(f"`{choice!r}`" for choice in parameter.choices)
        note = f"{choices}; " if choices else ""
        yield (
            f"| parameter | `{parameter.name}` | {parameter.type.__name__} | | {note}default "
            f"`{parameter.default!r}` |"
        )
    for name, kind in model.outputs.items():
        yield _row("output", name, kind, "")
    yield ""


def _facts(model: Model) -> Iterator[str]:
    yield f"Version {model.version}."
    if model.config.max_batch_size > 1:
        yield f"Batches of up to {model.config.max_batch_size} rows."
    else:
        yield "One row at a time."
    if model.streaming:
        yield "Streams its answers."


def _row(role: str, name: str, kind: TensorType, note: str) -> str:
    shape = ", ".join(map(_dimension, ("batch", *kind.sample_dims)))
    return f"| {role} | `{name}` | {kind.datatype.name} | ({shape}) | {note} |"


def _dimension(size: Dimension) -> str:
    return "any" if size == -1 else str(size)
