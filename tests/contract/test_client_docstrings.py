# SPDX-License-Identifier: Apache-2.0
"""What help() says of the clients: the errors of every method, and where a client looks for its server."""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

import pytriton.client
from pytriton import constants
from pytriton.client import exceptions

CLIENTS: Final = [
    getattr(pytriton.client, name) for name in pytriton.client.__all__ if name.endswith("Client")
]
RAISES_NOTHING: Final = {"close", "from_existing_client"}


def documented() -> Iterator[Any]:
    for client in CLIENTS:
        for name, member in inspect.getmembers(client):
            if name == "__init__" or not (name.startswith("_") or name in RAISES_NOTHING):
                yield pytest.param(inspect.getdoc(member), id=f"{client.__name__}.{name}")


@pytest.mark.parametrize("text", list(documented()))
def test_errors_are_told(text: str) -> None:
    _, found, raises = text.partition("\nRaises:\n")
    assert found
    names = re.findall(r"^    (\w+): \S", raises, re.MULTILINE)
    assert names
    for name in names:
        error = getattr(exceptions, name, None) or getattr(builtins, name)
        assert issubclass(error, Exception)


@pytest.mark.parametrize("client", CLIENTS)
def test_urls_are_told(client: Any) -> None:
    text = client.__init__.__doc__
    assert "[scheme://]host[:port]" in text
    assert str(constants.DEFAULT_HTTP_PORT) in text
    assert str(constants.DEFAULT_GRPC_PORT) in text
