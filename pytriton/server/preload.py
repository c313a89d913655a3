# SPDX-License-Identifier: Apache-2.0
"""What is preloaded into the server (native/src/preload), and what it hides from the process list.

The command has a mask in place of each secret among the server's arguments. The library takes them from the
environment, which only the server's user may read, and puts them back (arguments.cc). It also lets the server
say which models have workers (readiness_hook.cc) and that it is ending (ending_hook.cc), refuse requests of
models that have too many (request_hook.cc), look after queues that it would forget (batcher_hook.cc), lose no
response and let go of every call (evthr_hook.cc, grpc_hook.cc), and outlive signals that are for the app
(signal_hook.cc).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pytriton.exceptions import PyTritonValidationError
from pytriton.server.locate import locate_preload_library

__all__ = ["Start", "preloading"]

_SECRET_OPTIONS: Final = ("--http-restricted-api", "--grpc-restricted-protocol")
_MASK: Final = "<hidden>"
_SEPARATORS: Final = (" ", ":")
_PRELOAD: Final = "LD_PRELOAD"


class Start(NamedTuple):
    """How a server is started: a command without secrets, and what brings them to it."""

    command: list[str]
    variables: dict[str, str]
    descriptors: list[int]


@contextlib.contextmanager
def preloading(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Start]:
    """Take the secrets out of a command; what is preloaded is there for the length of the block."""
    masked, secrets = _masked(command)
    with _preloadable(locate_preload_library()) as (library, descriptors):
        variables = {"PYTRITON_HIDDEN_ARGUMENTS": "\n".join(secrets), _PRELOAD: library}
        if before := environment.get(_PRELOAD):
            variables |= {"PYTRITON_LD_PRELOAD": before, _PRELOAD: f"{library}:{before}"}
        yield Start(masked, variables, descriptors)


def _masked(command: Sequence[str]) -> tuple[list[str], list[str]]:
    masked, secrets = [], []
    for argument in command:
        option, _, _ = argument.partition("=")
        start, equals, secret = argument.rpartition("=")
        # What looks like the mask is a secret too, or one would be put in its place.
        if not secret or (option not in _SECRET_OPTIONS and secret != _MASK):
            masked.append(argument)
            continue
        if "\n" in secret or "\0" in secret:
            raise PyTritonValidationError(f"A line break is not possible in the secret of {option}.")
        masked.append(start + equals + _MASK)
        secrets.append(secret)
    return masked, secrets


@contextlib.contextmanager
def _preloadable(library: Path) -> Iterator[tuple[str, list[int]]]:
    path = os.fspath(library)
    if not any(separator in path for separator in _SEPARATORS):
        yield path, []
        return
    # What separates paths in the variable cannot be part of one.
    descriptor = os.open(library, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}", [descriptor]
    finally:
        os.close(descriptor)
