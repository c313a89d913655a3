# SPDX-License-Identifier: Apache-2.0
"""What messages advise, in terms of options: libraries speak of arguments in Python."""

from __future__ import annotations

import itertools
import re
from typing import Final

from pytriton.client._core import advice

__all__ = ["IN_OPTIONS", "in_options"]

IN_OPTIONS: Final = {
    advice.CAST: "give values that it can hold",
    advice.CAST_TO_BYTES: "give text in quotes, or a file of strings",
    advice.CREDENTIALS: "use --token or --header",
    advice.OTHER_TOKEN: "another one than was given",
    advice.SET_RESERVED: "commands cannot set it",
    advice.SPLIT: "give fewer rows",
    advice.STREAMING_CLIENT: "it is asked over gRPC: give --url grpc://host:port",
    advice.TLS: (
        "Name a file with the certificates to trust in the environment: SSL_CERT_FILE for https, "
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH for grpcs."
    ),
    advice.TOKEN: (
        "The endpoint is restricted: give the server's token with --token or in PYTRITON_TOKEN; "
        "`pytriton serve` shows it."
    ),
    advice.TOKEN_FOR_LIST: "needs --token",
    advice.USE_BATCH: "for a batch leave out --sample",
    advice.USE_SAMPLE: "for a single sample leave out --batch",
    advice.USE_SAMPLE_INSTEAD: "leave out --batch",
    advice.WAIT: "If the model is still to come, `pytriton models` shows when it is ready.",
}
"""What commands say in the place of the clients' advice."""

_FIELD: Final = re.compile(r"\\\{\w+\\\}")
_CLIENTS: Final = [
    (re.compile(_FIELD.sub(r"[\\w.]+", re.escape(told))), instead) for told, instead in IN_OPTIONS.items()
]
_PORT: Final = re.compile(r"TritonConfig\(\w+=\.\.\.\) or `pytriton serve (--[\w-]+)`")
_TAKEN: Final = re.compile(
    r"(\w+ port \d+) is taken: stop what listens there, or choose another with (--[\w-]+)\."
)
_OPTION: Final = re.compile(r"^TritonConfig\.(\w+)")


def in_options(message: str) -> str:
    """A message whose advice speaks of options of the command."""
    for pattern, instead in _CLIENTS:
        message = pattern.sub(lambda _, instead=instead: instead, message)  # type: ignore[misc]
    message = _together(_PORT.sub(r"\1", message))
    return _OPTION.sub(lambda found: "--" + found[1].replace("_", "-"), message)


def _together(message: str) -> str:
    """Several ports that are taken, as of a second server with the default ones, in one sentence."""
    taken = list(_TAKEN.finditer(message))
    between = [message[one.end() : other.start()] for one, other in itertools.pairwise(taken)]
    if not between or any(map(str.strip, between)):  # something else is said of a port in their midst
        return message
    ports, options = (_listed([found[group] for found in taken]) for group in (1, 2))
    sentence = f"{ports} are taken: stop what listens there, or choose others with {options}."
    return message[: taken[0].start()] + sentence + message[taken[-1].end() :]


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
