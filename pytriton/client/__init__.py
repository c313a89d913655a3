# SPDX-License-Identifier: Apache-2.0
"""Clients of models on a Triton server, or any other that speaks the KServe v2 protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytriton.client.model_client import ModelClient

__all__ = ["ModelClient"]

_MODULES = {"ModelClient": "model_client"}


def __getattr__(name: str) -> object:
    """Import a client at first use, so that one kind does not load what the others need."""
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"pytriton.client.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'pytriton.client' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
