# SPDX-License-Identifier: Apache-2.0
"""Write the files of a new project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pytriton.exceptions import PyTritonValidationError

__all__ = ["FILES", "create_project"]

_TEMPLATE: Final = Path(__file__).with_name("template")
_SUFFIX: Final = ".template"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_PLACE: Final = "{{name}}"

FILES: Final = ("README.md", "client.py", "pyproject.toml", "service.py", "test_service.py")


def create_project(directory: Path, name: str | None = None) -> list[Path]:
    """Write the files of a project; nothing that is there is touched.

    Args:
        directory: Where to; it is made if there is none.
        name: Name of the project; that of the directory by default.
    """
    directory = directory.absolute()
    name = name or directory.name
    if not _NAME.fullmatch(name):
        raise PyTritonValidationError(
            f"{name!r} is no name of a project: expected letters, digits, dots, dashes and underscores; "
            "give another one with --name."
        )
    if present := [file for file in FILES if (directory / file).exists()]:
        raise PyTritonValidationError(
            f"{directory} has {', '.join(present)} already; give another directory."
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            text = (_TEMPLATE / f"{file}{_SUFFIX}").read_text(encoding="utf-8")
            (directory / file).write_text(text.replace(_PLACE, name), encoding="utf-8")
    except OSError as error:
        raise PyTritonValidationError(
            f"{directory} cannot be written to: {error.strerror or error}."
        ) from None
    return [directory / file for file in FILES]
