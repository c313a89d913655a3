# SPDX-License-Identifier: Apache-2.0
"""Clients of models on a Triton server, or any other that speaks the KServe v2 protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytriton.client.asyncio_decoupled_model_client import AsyncioDecoupledModelClient
    from pytriton.client.asyncio_model_client import AsyncioModelClient
    from pytriton.client.decoupled_model_client import DecoupledModelClient
    from pytriton.client.futures_model_client import FuturesModelClient
    from pytriton.client.model_client import ModelClient
    from pytriton.client.options import InferOptions, Retry, Tls

__all__ = [
    "AsyncioDecoupledModelClient",
    "AsyncioModelClient",
    "DecoupledModelClient",
    "FuturesModelClient",
    "InferOptions",
    "ModelClient",
    "Retry",
    "Tls",
]

_MODULES = {
    "AsyncioDecoupledModelClient": "asyncio_decoupled_model_client",
    "AsyncioModelClient": "asyncio_model_client",
    "DecoupledModelClient": "decoupled_model_client",
    "FuturesModelClient": "futures_model_client",
    "InferOptions": "options",
    "ModelClient": "model_client",
    "Retry": "options",
    "Tls": "options",
}


def __getattr__(name: str) -> object:
    """Import a name at first use, so that one kind does not load what the others need."""
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"pytriton.client.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'pytriton.client' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
