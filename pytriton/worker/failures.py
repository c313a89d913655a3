# SPDX-License-Identifier: Apache-2.0
"""Exceptions of the user's function as codes and text for the client and the log."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType
from typing import Final

from pytriton.exceptions import ErrorCode, PyTritonInferenceError

__all__ = ["STRAY", "clear_frames", "code_and_text", "describe", "encode_text", "report_stray"]

LOGGER = logging.getLogger(__name__)

STRAY: Final = (SystemExit, KeyboardInterrupt)
"""What an event loop lets out of a task, and ends its turn with, whoever waits for something else."""
_PACKAGE: Final = "pytriton."
_TEXT_SIZE: Final = 16 * 1024
_HEAD_SIZE: Final = 4 * 1024
_CUT: Final = b"\n... cut ...\n"


def code_and_text(error: BaseException) -> tuple[ErrorCode, str]:
    """What the client is told: the function's own words if it chose them, else the traceback."""
    if isinstance(error, PyTritonInferenceError):
        clear_frames(error)
        return error.code or ErrorCode.INTERNAL, error.message
    return ErrorCode.INTERNAL, describe(error)


def describe(error: BaseException) -> str:
    """The traceback, from the first frame that is not ours; its frames let go of their variables.

    Frames hold the arrays of the batch, and are kept by whatever cycle the function made of its exceptions.
    """
    text = "".join(traceback.format_exception(type(error), error, _skip_own(error.__traceback__)))
    clear_frames(error)
    return text.rstrip()


def report_stray(error: BaseException) -> None:
    """Log what came out of a task that a function had left behind: it belongs to no request."""
    LOGGER.error("A task that a coroutine had left behind has ended: %s", describe(error))


def encode_text(text: str) -> bytes:
    """UTF-8, bounded: the beginning and the end, which is where an exception says what it is."""
    # A NUL would be the end of it to the server.
    encoded = text.replace("\0", "\\0").encode(errors="backslashreplace")
    if len(encoded) <= _TEXT_SIZE:
        return encoded
    tail = encoded[len(encoded) - (_TEXT_SIZE - _HEAD_SIZE - len(_CUT)) :]
    # The cuts may have gone through characters.
    return b"".join(
        (encoded[:_HEAD_SIZE].decode(errors="ignore").encode(), _CUT, tail.decode(errors="ignore").encode())
    )


def _skip_own(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frames = frames.tb_next
    return frames


def clear_frames(error: BaseException) -> None:
    """Let the frames that an exception came through go of their variables."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        traceback.clear_frames(link.__traceback__)
        chain += (link.__cause__, link.__context__, *getattr(link, "exceptions", ()))
