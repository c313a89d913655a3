# SPDX-License-Identifier: Apache-2.0
"""Texts that come to the server as they are."""

from __future__ import annotations

from typing import Final

from pytriton.client.exceptions import PyTritonClientValueError

__all__ = ["check_text"]

_SHOWN: Final = 60


def check_text(what: str, text: str) -> None:
    """Refuse a text that does not arrive whole: the server ends it at a NUL, and has it in UTF-8."""
    shown = repr(text[:_SHOWN]) + ("..." if len(text) > _SHOWN else "")
    if "\0" in text:
        raise PyTritonClientValueError(
            f"{what} has a NUL character, at which the server would cut it off: {shown}; leave it out."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PyTritonClientValueError(
            f"{what} cannot be sent as UTF-8 ({error.reason} at character {error.start}): {text[:_SHOWN]!a}."
        ) from None
