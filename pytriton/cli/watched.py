# SPDX-License-Identifier: Apache-2.0
"""A server that is looked at again and again, and may be served anew meanwhile, with another token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytriton.cli.remote import Remote, remote
from pytriton.monitor.sample import Sample, Sampler
from pytriton.monitor.server import Server

__all__ = ["Watched"]


class Watched:
    """A server and its metrics, asked with the token that it has now, as far as that is known."""

    def __init__(
        self,
        where: Remote,
        token: str | None,
        headers: Sequence[str] | None,
        metrics_url: str | None,
        timeout_s: float,
    ) -> None:
        """Connect nowhere yet.

        Args:
            where: The server.
            token: The token that was given; else it is the one that is known.
            headers: Headers that were given.
            metrics_url: Where its metrics are, if that was given.
            timeout_s: Seconds that a request may take.
        """
        self._where = where
        self._given = token, headers
        self._metrics_url = metrics_url
        self._timeout_s = timeout_s
        self._server, self._sampler = self._opened()

    def metadata(self) -> dict[str, Any]:
        """Name, version and extensions."""
        return self._server.metadata()

    def take(self) -> Sample:
        """Look."""
        now = remote(self._where.url, *self._given)
        if now.token is not None and now != self._where:
            self._server.close()
            self._where = now
            self._server, self._sampler = self._opened()
        return self._sampler.take()

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _opened(self) -> tuple[Server, Sampler]:
        where = self._where
        server = Server(where.url, token=where.token, headers=where.headers, timeout_s=self._timeout_s)
        return server, Sampler(server, self._metrics_url or where.metrics_url, self._timeout_s)
