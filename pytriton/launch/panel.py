# SPDX-License-Identifier: Apache-2.0
"""What is said when a server is ready: where it answers, what it serves, and how to ask it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import pytriton
from pytriton.launch.announcement import urls
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig
from pytriton.server.ports import Endpoint

__all__ = ["describe", "panel", "tensor_text"]


def describe(
    endpoints: Sequence[Endpoint], models: Sequence[TritonModelConfig], token: str | None
) -> dict[str, Any]:
    """The same for programs."""
    return {
        "endpoints": urls(endpoints),
        "models": [
            {
                "name": model.model_name,
                "version": model.model_version,
                "inputs": [_tensor(spec) for spec in model.inputs or ()],
                "outputs": [_tensor(spec) for spec in model.outputs or ()],
                "max_batch_size": model.max_batch_size if model.batching else 0,
                "decoupled": model.decoupled,
            }
            for model in models
        ],
        "access_token": token,
    }


def panel(
    endpoints: Sequence[Endpoint],
    models: Sequence[TritonModelConfig],
    token: str | None,
    notes: Sequence[str] = (),
) -> RenderableType:
    """The panel.

    Args:
        endpoints: Where the server answers.
        models: What it serves.
        token: Token of the restricted endpoints.
        notes: Further lines.
    """
    where = Table.grid(padding=(0, 2))
    for name, url in urls(endpoints).items():
        where.add_row(Text(name, "dim"), Text(url, "cyan"))
    if token is not None:
        where.add_row(Text("token", "dim"), Text(token))
    parts: list[RenderableType] = [where, Text(), _models(models)]
    lines = [*notes, "Ctrl-C ends it."]
    parts += [Text(), *(Text(line, "dim") for line in lines)]
    return Panel(
        Group(*parts),
        title=f"pytriton {pytriton.__version__}",
        title_align="left",
        box=box.ROUNDED,
        padding=(1, 2),
    )


def tensor_text(specs: Sequence[TensorSpec]) -> str:
    """Names, datatypes and shapes of tensors, one a line."""
    lines = []
    for spec in specs:
        shape = ", ".join("*" if size < 0 else str(size) for size in spec.shape)
        optional = " optional" if spec.optional else ""
        lines.append(f"{spec.name}: {spec.datatype.name}[{shape}]{optional}")
    return "\n".join(lines)


def _models(models: Sequence[TritonModelConfig]) -> RenderableType:
    if not models:
        return Text("No models are bound.", "yellow")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for column in ("model", "version", "inputs", "outputs", "batch"):
        table.add_column(column, header_style="dim", overflow="fold")
    for model in models:
        table.add_row(
            Text(model.model_name, "bold"),
            str(model.model_version),
            tensor_text(model.inputs or ()),
            tensor_text(model.outputs or ()),
            f"up to {model.max_batch_size}" if model.batching else "none",
        )
    return table


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "datatype": spec.datatype.name,
        "shape": list(spec.shape),
        "optional": bool(spec.optional),
    }
