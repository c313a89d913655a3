# SPDX-License-Identifier: Apache-2.0
"""The import of a module by `pytriton serve`, which serves what it finds there itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from pytriton.exceptions import PyTritonInvalidOperationError

__all__ = ["ServedWhileImportedError", "importing", "refuse_while_importing"]

_importing: ContextVar[bool] = ContextVar("pytriton_importing", default=False)


class ServedWhileImportedError(PyTritonInvalidOperationError):
    """A module calls serve() when it is imported to be served."""


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Let serve() be refused in the block: the import would not come to its end before the server's."""
    token = _importing.set(True)
    try:
        yield
    finally:
        _importing.reset(token)


def refuse_while_importing() -> None:
    """Raise if serve() is called by a module that is imported to be served."""
    if _importing.get():
        raise ServedWhileImportedError(
            "serve() is called while `pytriton serve` imports the module to find what to serve. "
            'Put the call below `if __name__ == "__main__":`, or run the file with python.'
        )
