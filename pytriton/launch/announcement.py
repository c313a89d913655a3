# SPDX-License-Identifier: Apache-2.0
"""Servers that are announced to the commands of the same user: where they answer, and with which token."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytriton.constants import pytriton_home
from pytriton.server.ports import Endpoint

__all__ = ["Announcement", "announced", "announcements", "urls"]

_DIRECTORY: Final = "serving"
_PATHS: Final = {"metrics": "/metrics"}


@dataclass(frozen=True)
class Announcement:
    """A server of this user on this machine."""

    urls: Mapping[str, str]
    """By the name of the endpoint: HTTP, gRPC, metrics."""
    token: str | None

    @property
    def url(self) -> str | None:
        """Where requests go."""
        return self.urls.get("HTTP") or self.urls.get("gRPC")


def urls(endpoints: Sequence[Endpoint]) -> dict[str, str]:
    """Where a server answers, by the endpoints' names."""
    return {endpoint.name: _url(endpoint) for endpoint in endpoints}


@contextlib.contextmanager
def announced(endpoints: Mapping[str, str], token: str | None) -> Iterator[None]:
    """Announce a server for the length of a block, to nobody but this user."""
    directory = pytriton_home() / _DIRECTORY
    path = directory / f"{os.getpid()}.json"
    document = {"pid": os.getpid(), "urls": dict(endpoints), "token": token}
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(document, file)
    except OSError:  # nobody needs it to serve
        yield
        return
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are announced
            directory.rmdir()


def announcements() -> list[Announcement]:
    """The servers that run; what those have left that were killed is removed."""
    found = []
    for path in sorted((pytriton_home() / _DIRECTORY).glob("*.json")):
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            entry = Announcement(dict(document["urls"]), document["token"])
            alive = Path(f"/proc/{int(document['pid'])}").exists()
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if alive:
            found.append(entry)
        else:
            path.unlink(missing_ok=True)
    return found


def _url(endpoint: Endpoint) -> str:
    scheme = "grpc" if endpoint.name == "gRPC" else "http"
    return f"{scheme}://{endpoint.local}{_PATHS.get(endpoint.name, '')}"
