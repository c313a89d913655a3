# SPDX-License-Identifier: Apache-2.0
"""Models made of typed Python functions and classes."""

from __future__ import annotations

from pytriton.app.application import App
from pytriton.app.model import Model
from pytriton.app.router import Router

__all__ = ["App", "Model", "Router"]
