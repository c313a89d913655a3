# SPDX-License-Identifier: Apache-2.0
"""The command line: `pytriton`, or `python -m pytriton`."""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["main"]

_LIBRARIES: Final = ("click", "rich", "typer")
_USAGE_ERROR: Final = 2


def main() -> None:
    """Run the command line."""
    try:
        from pytriton.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in _LIBRARIES:
            raise
        print(
            f'The command line of pytriton needs {error.name}: pip install "pytriton[cli]"', file=sys.stderr
        )
        raise SystemExit(_USAGE_ERROR) from None
    app()


if __name__ == "__main__":
    main()
