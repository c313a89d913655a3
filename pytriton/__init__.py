# SPDX-License-Identifier: Apache-2.0
"""Serve a Python function with NVIDIA Triton Inference Server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytriton import app, arrays, client, decorators, exceptions, logs, metrics, model_config, triton
    from pytriton.app import App, Router
    from pytriton.arrays import F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool, Strings

__all__ = [
    "F16",
    "F32",
    "F64",
    "I8",
    "I16",
    "I32",
    "I64",
    "U8",
    "U16",
    "U32",
    "U64",
    "App",
    "Bool",
    "Router",
    "Strings",
    "__version__",
    "app",
    "arrays",
    "client",
    "decorators",
    "exceptions",
    "logs",
    "metrics",
    "model_config",
    "triton",
]

__version__: str

_SUBMODULES = frozenset({"app", "arrays", "client", "decorators", "exceptions", "model_config", "triton"})
_OF_APP = frozenset({"App", "Router"})
_OF_ARRAYS = frozenset(__all__) - _SUBMODULES - _OF_APP - {"__version__"}


def __getattr__(name: str) -> object:
    """Import submodules and read the version at first use, so that `import pytriton` itself costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("pytriton")
    if name in _SUBMODULES:
        from importlib import import_module

        return import_module(f"pytriton.{name}")
    if name in _OF_APP or name in _OF_ARRAYS:
        from importlib import import_module

        return getattr(import_module("pytriton.app" if name in _OF_APP else "pytriton.arrays"), name)
    raise AttributeError(f"module 'pytriton' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
