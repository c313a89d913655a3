# SPDX-License-Identifier: Apache-2.0
"""How a command ends: exit codes, and the one sentence that says why."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperGroup

import pytriton
from pytriton.cli.advice import in_options
from pytriton.client.exceptions import (
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.exceptions import PyTritonError, PyTritonValidationError
from pytriton.launch.announcement import announcements
from pytriton.launch.target import UserCodeError
from pytriton.monitor.server import LackingError
from pytriton.server.ports import PortTakenError

__all__ = [
    "BAD_INPUT",
    "FAILED",
    "INTERRUPTED",
    "LACKING",
    "NO_SERVER",
    "OK",
    "Commands",
    "Failure",
    "model_may_be_late",
]

OK: Final = 0
FAILED: Final = 1
"""What was asked for was tried and failed."""
BAD_INPUT: Final = 2
"""Arguments, files, a module or the configuration cannot be used; nothing was tried."""
NO_SERVER: Final = 3
"""Nothing answers at the URL, or no port is free to answer at."""
LACKING: Final = 4
"""The server answers but lacks what the command needs."""
INTERRUPTED: Final = 130

_OURS: Final = str(Path(pytriton.__path__[0])) + os.sep


class Failure(Exception):
    """The end of a command: what the user is told, and the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class _ModelLateError(PyTritonClientTimeoutError):
    """The server answers, but not for its model."""


_LATE: Final = (PyTritonClientTimeoutError, _ModelLateError)


@contextlib.contextmanager
def model_may_be_late() -> Iterator[None]:
    """Learn of a model in the block, from a server that has told of itself before."""
    try:
        yield
    except PyTritonClientTimeoutError as error:
        if type(error) is PyTritonClientTimeoutError:
            raise _ModelLateError(error.message) from error.__cause__
        raise


class Commands(TyperGroup):
    """Commands whose failures are sentences; a traceback is shown only of the user's own code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        # What a library of C says of a failed connection is said by our sentence.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        try:
            return super().invoke(ctx)
        except (Failure, PyTritonError, PyTritonClientError, UserCodeError) as error:
            _show_users_traceback(error)
            typer.echo(f"pytriton: {_told(error)}", err=True)
            raise typer.Exit(_code_of(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # whoever read the output has seen enough
            sys.stdout = None
            raise typer.Exit(OK) from None


def _code_of(error: Exception) -> int:
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, LackingError):
        return LACKING
    if isinstance(error, (PyTritonClientValueError, PyTritonValidationError)):
        return BAD_INPUT
    if isinstance(error, (PyTritonClientConnectionError, PortTakenError)):
        return NO_SERVER
    if type(error) is PyTritonClientTimeoutError:
        return NO_SERVER
    return FAILED


def _told(error: Exception) -> str:
    if isinstance(error, (Failure, UserCodeError)):
        return str(error)
    text = in_options(str(error))
    more = _advice(error)
    return f"{text.rstrip('.?')}{text[-1] if text.endswith('?') else '.'}{more}" if more else text


def _advice(error: Exception) -> str:
    more = " With --timeout it may take longer." if type(error) in _LATE else ""
    return more + _where_one_answers(error)


def _where_one_answers(error: Exception) -> str:
    if not isinstance(error, PyTritonClientError) or _code_of(error) != NO_SERVER:
        return ""
    urls = [str(known.url) for known in announcements() if str(known.url) not in str(error)]
    return f" `pytriton serve` of this machine answers at {' and '.join(urls)}." if urls else ""


def _show_users_traceback(error: BaseException) -> None:
    cause = error.__cause__
    if isinstance(error, Failure) or cause is None:
        return
    while isinstance(cause, (PyTritonError, PyTritonClientError)) and cause.__cause__ is not None:
        cause = cause.__cause__
    # Errors of our own, of the operating system and of gRPC are told by the sentence.
    if isinstance(error, UserCodeError) or not isinstance(
        cause, (PyTritonError, PyTritonClientError, OSError)
    ):
        if isinstance(error, PyTritonClientError):
            return
        typer.echo("".join(_formatted(cause)).rstrip(), err=True)


def _formatted(error: BaseException) -> Iterator[str]:
    """The traceback without what is ours: it ends where the user's code called us."""
    told = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = told
    while link is not None:
        frames = [frame for frame in link.stack if not frame.filename.startswith(_OURS)]
        link.stack = traceback.StackSummary.from_list(frames)
        link = link.__cause__ or link.__context__
    yield from told.format()
