# SPDX-License-Identifier: Apache-2.0
"""A server of the v2 protocol, asked about itself over HTTP or gRPC."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from pytriton.client._core import operations as ops
from pytriton.client._core.flow import Exchange, Transport, run
from pytriton.client._core.request import check_headers
from pytriton.client._core.session import Session
from pytriton.client._core.settings import Settings
from pytriton.client._core.url import TritonUrl
from pytriton.client.auth import create_auth_headers
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
)
from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.exceptions import ErrorCode

__all__ = ["LackingError", "RestrictedError", "Server"]

_ABSENT: Final = (ErrorCode.NOT_FOUND, ErrorCode.UNSUPPORTED, ErrorCode.INVALID_ARG)


class LackingError(PyTritonClientError):
    """The server lacks an extension of the protocol."""


class RestrictedError(PyTritonClientError):
    """The server wants a token, or another one."""


class Server:
    """A server, asked about itself; requests that it does not know fail with LackingError."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Describe a server; nothing is sent yet.

        Args:
            url: [scheme://]host[:port], with http (the default), https, grpc or grpcs.
            token: Token that its restricted endpoints want.
            headers: Further headers of every request.
            timeout_s: Seconds that a request may take.
        """
        self.url = TritonUrl.from_url(url)
        token_headers = create_auth_headers(token, self.url.protocol) if token else {}
        self._settings = Settings(
            url=self.url,
            model_name="",
            model_version="",
            init_timeout_s=timeout_s,
            inference_timeout_s=timeout_s,
            ensure_model_is_ready=False,
            headers=check_headers({**(headers or {}), **token_headers}),
        )
        self._transport = _transport(self._settings)
        self._extensions: frozenset[str] | None = None

    def metadata(self) -> dict[str, Any]:
        """Name, version and extensions."""
        found: dict[str, Any] = self._ask(ops.ServerMetadata())
        self._extensions = frozenset(found.get("extensions") or ())
        return found

    def index(self) -> list[ops.ModelEntry]:
        """The models, those that are not ready too."""
        entries: list[ops.ModelEntry] = self._ask_extension(
            ops.RepositoryIndex(), "model_repository", "list its models"
        )
        return [entry for entry in entries if entry.name != BOOTSTRAP_MODEL_NAME]

    def statistics(self, model: str = "", version: str = "") -> list[dict[str, Any]]:
        """Statistics of one model or of all, in Triton's JSON form."""
        found: list[dict[str, Any]] = self._ask_extension(
            ops.GetStatistics(model, version), "statistics", "give statistics"
        )
        return [entry for entry in found if entry.get("name") != BOOTSTRAP_MODEL_NAME]

    def config(self, model: str, version: str = "") -> dict[str, Any]:
        """A model's configuration in Triton's JSON form."""
        found: dict[str, Any] = self._ask_extension(
            ops.GetConfig(model, version), "model_configuration", "tell the configuration of a model"
        )
        return found

    def model_metadata(self, model: str, version: str = "") -> dict[str, Any]:
        """A model's metadata: versions, platform, inputs, outputs."""
        found: dict[str, Any] = self._ask(ops.GetMetadata(model, version))
        return found

    def is_ready(self, model: str, version: str = "") -> bool:
        """Whether a model is ready."""
        return bool(self._ask(ops.ModelReady(model, version)))

    def session(self, model: str, version: str | None = None) -> Session:
        """What a client knows of a model, asked of this server."""
        session = Session(dataclasses.replace(self._settings, model_name=model, model_version=version or ""))
        run(session.connect(), self._transport)
        return session

    @property
    def grpc_metadata(self) -> tuple[tuple[str, str], ...]:
        """Its headers as metadata of gRPC calls."""
        return tuple((name.lower(), value) for name, value in self._settings.headers.items())

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    @property
    def _what(self) -> str:
        return f"server {self.url.with_scheme}"

    def _ask_extension(self, operation: ops.Operation, extension: str, purpose: str) -> Any:
        if self._extensions is None:
            self.metadata()
        assert self._extensions is not None
        if extension not in self._extensions:
            raise self._lacking(extension, purpose)
        try:
            return self._ask(operation)
        except PyTritonClientInferenceServerError as error:
            named = getattr(operation, "model", "")
            if not named and error.code in _ABSENT:
                raise self._lacking(extension, purpose) from error
            raise

    def _ask(self, operation: ops.Operation) -> Any:
        timeout_s = self._settings.inference_timeout_s
        try:
            return self._transport.exchange(
                Exchange(operation, timeout_s, self._settings.headers, self._what)
            )
        except PyTritonClientAccessDeniedError as error:
            raise RestrictedError(
                f"{self._what} restricts this ({_kind_of(operation)}) to those who know its token: give it "
                "with --token or in PYTRITON_TOKEN; `pytriton serve` shows it."
            ) from error

    def _lacking(self, extension: str, purpose: str) -> LackingError:
        return LackingError(
            f"{self._what} cannot {purpose}: it lacks the extension {extension} of the v2 protocol."
        )


def _kind_of(operation: ops.Operation) -> str:
    return {
        ops.RepositoryIndex: "model-repository",
        ops.GetStatistics: "statistics",
        ops.GetConfig: "model-config",
    }.get(type(operation), "metadata")


def _transport(settings: Settings) -> Transport:
    if settings.url.protocol == "grpc":
        from pytriton.client._grpc.transport import GrpcTransport

        return GrpcTransport(settings)
    from pytriton.client._http.transport import HttpTransport

    return HttpTransport(settings)
