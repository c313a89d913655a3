# SPDX-License-Identifier: Apache-2.0
"""The models of an application without a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from pytriton.client.exceptions import PyTritonClientModelUnavailableError
from pytriton.exceptions import PyTritonInvalidOperationError
from pytriton.testing._clients import LocalClient, LocalStreamClient
from pytriton.testing._model import LocalModel
from pytriton.testing._specs import check_served, specs_of
from pytriton.testing._transport import LocalTransport

if TYPE_CHECKING:
    from types import TracebackType

    from pytriton.app import Router
    from pytriton.serving.base import TritonBase

__all__ = ["TestClient"]

_Client = TypeVar("_Client", LocalClient, LocalStreamClient)


class TestClient:
    """Serves models in threads of this process, and asks them as the real clients do.

    Requests go through the same validation, batches, workers, checks of results and errors as with a server;
    but no server runs, and nothing listens. For example:

    with TestClient(app) as client:
        assert client.model("linear").infer_sample([1, 2])["output"].shape == (3,)
        assert [token["output"] for token in client.stream("tokens").infer_sample("Once")]
    """

    __test__ = False  # pytest takes classes of this name for tests

    def __init__(self, app: Router | TritonBase, *, timeout_s: float = 60.0) -> None:
        """Describe what is served; nothing is started before the first use.

        Args:
            app: An App, a Router, or a Triton to which models are bound.
            timeout_s: How long an answer may take.
        """
        check_served(app)
        self._app = app
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._models: list[LocalModel] | None = None
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._closed = False

    def model(self, name: str, version: int | None = None) -> LocalClient:
        """The client of a model that gives one response to each request.

        Args:
            name: Name of the model.
            version: Its version; the latest by default.
        """
        return self._client(LocalClient, name, version, streaming=False)

    def stream(self, name: str, version: int | None = None) -> LocalStreamClient:
        """The client of a streaming model, whose methods return iterators.

        Args:
            name: Name of the model.
            version: Its version; the latest by default.
        """
        return self._client(LocalStreamClient, name, version, streaming=True)

    def close(self) -> None:
        """End the workers; a second call does nothing."""
        with self._lock:
            self._closed = True
            models, self._models = self._models or [], None
        stuck = [model.label[0] for model in models if not model.stop()]
        if stuck:
            raise PyTritonInvalidOperationError(
                f"The functions of these models have not returned when the test client was closed: {stuck}."
            )

    def __enter__(self) -> TestClient:
        """Start the workers."""
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the workers."""
        self.close()

    def _client(
        self, kind: Callable[..., _Client], name: str, version: int | None, *, streaming: bool
    ) -> _Client:
        transport = LocalTransport(self._start())
        asked = None if version is None else str(version)
        model = transport.find(name, asked or "")
        if model is None:
            raise PyTritonClientModelUnavailableError(transport.unknown(name, asked or ""))
        if model.config.decoupled != streaming:
            other = "stream" if model.config.decoupled else "model"
            raise PyTritonInvalidOperationError(
                f'Model "{name}" {"streams" if model.config.decoupled else "does not stream"} its answers; '
                f'use client.{other}("{name}").'
            )
        client: _Client = self._clients.setdefault(
            (name, asked), kind(transport, model, asked, self._timeout_s)
        )
        return client

    def _start(self) -> list[LocalModel]:
        with self._lock:
            if self._closed:
                raise PyTritonInvalidOperationError("The test client is closed.")
            if self._models is None:
                self._models = list(self._started())
            return self._models

    def _started(self) -> Iterator[LocalModel]:
        models = [LocalModel(spec, functions) for spec, functions in specs_of(self._app)]
        for index, model in enumerate(models):
            try:
                model.start()
            except BaseException:
                for started in models[:index]:
                    started.stop()
                raise
            yield model
