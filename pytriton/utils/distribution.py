# SPDX-License-Identifier: Apache-2.0
"""Where the installed package has its files."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytriton
from pytriton import _native

__all__ = ["get_libs_path", "get_root_module_path", "is_editable_install"]


def get_root_module_path() -> Path:
    """Directory of the package `pytriton`."""
    assert pytriton.__file__ is not None
    return Path(pytriton.__file__).parent


def is_editable_install() -> bool:
    """Whether the package runs from its sources: an editable installation, or none at all."""
    try:
        record = distribution("pytriton").read_text("direct_url.json")
    except PackageNotFoundError:
        return True
    origin: dict[str, Any] = json.loads(record) if record else {}
    return bool(origin.get("dir_info", {}).get("editable", False))


def get_libs_path() -> Path:
    """Directory of the shared libraries of the bundled server; it exists only where that server does."""
    return _native.BUNDLED_LIBRARIES
