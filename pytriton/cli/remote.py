# SPDX-License-Identifier: Apache-2.0
"""Which server a command asks: its options, and what is known of servers on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from pytriton.cli.exits import BAD_INPUT, Failure
from pytriton.client._core.url import TritonUrl
from pytriton.constants import DEFAULT_METRICS_PORT
from pytriton.launch.announcement import Announcement, announcements

__all__ = ["HeaderOption", "Remote", "TimeoutOption", "TokenOption", "UrlOption", "remote"]

_DEFAULT_URL: Final = "http://localhost:8000"

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        "-u",
        envvar="PYTRITON_URL",
        show_default=False,
        help="Address of the server: localhost:8000, grpc://host:8001, https://host or grpcs://host. By "
        "default, the one that `pytriton serve` runs on this machine, else http://localhost:8000.",
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="PYTRITON_TOKEN",
        show_default=False,
        help="Token for restricted endpoints; known for servers that `pytriton serve` runs on this machine.",
    ),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", show_default=False, help="Header to send with every request: name=value."),
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", help="Seconds that a request may take.", min=0.001)
]


@dataclass(frozen=True)
class Remote:
    """A server to ask."""

    url: str
    token: str | None
    headers: dict[str, str]
    metrics_url: str
    grpc_url: str | None = None
    """Its gRPC endpoint, where that is known."""


def remote(url: str | None, token: str | None, headers: Sequence[str] | None) -> Remote:
    """The server that options name."""
    known = announcements()
    if url is None:
        if len(known) > 1:
            urls = ", ".join(str(entry.url) for entry in known)
            raise Failure(f"Several servers run here: say which with --url; there are {urls}.", BAD_INPUT)
        url = (known[0].url if known else None) or _DEFAULT_URL
    where = TritonUrl.from_url(url)
    entry = next((entry for entry in known if _is_of(where, entry)), None)
    if token is None and entry is not None:
        token = entry.token
    metrics = entry.urls.get("metrics") if entry is not None else None
    if metrics is None:
        host = f"[{where.hostname}]" if ":" in where.hostname else where.hostname
        metrics = f"http://{host}:{DEFAULT_METRICS_PORT}/metrics"
    known_grpc = entry.urls.get("gRPC") if entry is not None else None
    grpc = where.with_scheme if where.protocol == "grpc" else known_grpc
    token = token or None  # an empty variable is none
    return Remote(where.with_scheme, token, _headers(headers or ()), metrics, grpc)


def _is_of(url: TritonUrl, entry: Announcement) -> bool:
    return url.is_local and any(urlsplit(known).port == url.port for known in entry.urls.values())


def _headers(given: Sequence[str]) -> dict[str, str]:
    headers = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise Failure(f"--header: expected name=value, got {text!r}.", BAD_INPUT)
        headers[name] = value
    return headers
