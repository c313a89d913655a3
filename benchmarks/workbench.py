# SPDX-License-Identifier: Apache-2.0
"""What subjects and loads are prepared with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.cache import SERVER_WHEEL, Cache
from benchmarks.interpreter import Interpreter, reference_interpreter

__all__ = ["HERE", "Workbench"]

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Workbench:
    """The cache and the interpreters of one run."""

    cache: Cache
    own_python: Path  # where this package is installed
    given_reference: Path | None = None

    @cached_property
    def reference(self) -> Interpreter:
        """The interpreter that hosts the peers."""
        return reference_interpreter(self.given_reference)

    @cached_property
    def server_files(self) -> Path:
        """The unpacked wheel with the server, its Python backend and its libraries."""
        return self.cache.unpacked(SERVER_WHEEL)

    def environment(self, name: str) -> Path:
        """Return the interpreter of the environment of `requirements/<name>.txt`."""
        return self.cache.environment(name, self.reference.path, HERE / "requirements" / f"{name}.txt")
