# SPDX-License-Identifier: Apache-2.0
"""A real server on free ports, for as long as a test needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytriton.exceptions import PyTritonServerError

if TYPE_CHECKING:
    from pytriton.app import Router
    from pytriton.client import DecoupledModelClient, ModelClient
    from pytriton.server.config import TritonConfig
    from pytriton.triton import Triton

__all__ = ["TestServer", "serving"]

_LOCAL: Final = "127.0.0.1"
_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class TestServer:
    """A server that runs."""

    __test__ = False  # pytest takes classes of this name for tests

    triton: Triton
    http_port: int
    grpc_port: int
    metrics_port: int

    @property
    def http_url(self) -> str:
        """Where it answers over HTTP."""
        return f"http://{_LOCAL}:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        """Where it answers over gRPC."""
        return f"grpc://{_LOCAL}:{self.grpc_port}"

    @property
    def metrics_url(self) -> str:
        """Where its metrics are."""
        return f"http://{_LOCAL}:{self.metrics_port}/metrics"

    def model(self, name: str, **options: Any) -> ModelClient:
        """A new client of a model that gives one response to each request.

        Args:
            name: Name of the model.
            options: What else `ModelClient` takes; the server's token is given by default.
        """
        from pytriton.client import ModelClient

        return ModelClient(self.http_url, name, **self._with_token(options))

    def stream(self, name: str, **options: Any) -> DecoupledModelClient:
        """A new client of a streaming model.

        Args:
            name: Name of the model.
            options: What else `DecoupledModelClient` takes; the server's token is given by default.
        """
        from pytriton.client import DecoupledModelClient

        return DecoupledModelClient(self.grpc_url, name, **self._with_token(options))

    def _with_token(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"access_token": self.triton.get_access_token(), **options}


@contextlib.contextmanager
def serving(app: Router, *, config: TritonConfig | None = None, **options: Any) -> Iterator[TestServer]:
    """Serve an application on free ports of this machine for the length of a block.

    Args:
        app: The application.
        config: Options of the server besides its ports.
        options: What else `Triton` takes.
    """
    from pytriton.server.config import TritonConfig
    from pytriton.server.ports import free_ports
    from pytriton.triton import Triton

    for attempt in range(1, _ATTEMPTS + 1):
        http_port, grpc_port, metrics_port = free_ports(3)
        ports = TritonConfig(
            http_address=_LOCAL,
            http_port=http_port,
            grpc_address=_LOCAL,
            grpc_port=grpc_port,
            metrics_address=_LOCAL,
            metrics_port=metrics_port,
        )
        triton = Triton(config=ports if config is None else ports.over(config), **options)
        try:
            app.bind_to(triton)
            triton.run()
        except PyTritonServerError as error:
            triton.stop()
            # Between our look and the server's somebody else may have taken a port.
            if "is taken" not in str(error) or attempt == _ATTEMPTS:
                raise
            continue
        except BaseException:
            triton.stop()
            raise
        try:
            yield TestServer(triton, http_port, grpc_port, metrics_port)
        finally:
            triton.stop()
        return
