# SPDX-License-Identifier: Apache-2.0
"""What all clients that stand for one model have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pytriton.client._core.request import check_headers
from pytriton.client._core.session import Session
from pytriton.client._core.settings import (
    DEFAULT_INFERENCE_TIMEOUT_S,
    DEFAULT_INIT_TIMEOUT_S,
    Settings,
    checked_timeout,
)
from pytriton.client._core.url import TritonUrl
from pytriton.client.auth import create_auth_headers
from pytriton.client.exceptions import PyTritonClientValueError
from pytriton.client.options import (
    Compression,
    Retry,
    SharedMemory,
    Tls,
    check_compression,
    check_retry,
    check_shared_memory,
    check_tls,
)
from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["BaseModelClient"]

Client = TypeVar("Client", bound="BaseModelClient")


class BaseModelClient:
    """What all clients that stand for one model have in common."""

    _LIBRARIES: ClassVar[Mapping[str, str]] = {"http": "tritonclient.http", "grpc": "tritonclient.grpc"}

    def __init__(
        self,
        url: str,
        model_name: str,
        model_version: str | None = None,
        *,
        lazy_init: bool = True,
        init_timeout_s: float | None = None,
        inference_timeout_s: float | None = None,
        model_config: TritonModelConfig | None = None,
        ensure_model_is_ready: bool = True,
        access_token: str | None = None,
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        retry: Retry | None = None,
        compression: Compression | None = None,
        split_batches: bool = False,
        shared_memory: SharedMemory = "off",
    ) -> None:
        """Describe the model to ask; nothing is sent yet, unless `lazy_init` is false.

        Args:
            url: Where the server is: [scheme://]host[:port], with http (the default), https, grpc or grpcs;
                port 8000 by default, for gRPC 8001. An IPv6 address stands in brackets. A user name, and what
                follows the port, are left out.
            model_name: Name of the model.
            model_version: Version of the model; the latest by default.
            lazy_init: Whether the server is asked for the model's configuration at first use, not at once.
            init_timeout_s: Seconds that server and model may take to be ready; 300 by default.
            inference_timeout_s: Seconds that a request may take; 60 by default.
            model_config: Configuration of the model, where it is known already.
            ensure_model_is_ready: Whether the server is asked nevertheless.
            access_token: Token of a server that restricts its endpoints.
            headers: Headers (gRPC: metadata) of every request.
            tls: Certificates for https and grpcs; the system's authorities by default.
            retry: When a request is sent again; never by default.
            compression: How requests are compressed, "gzip" or "deflate"; not at all by default.
            split_batches: Whether batches larger than the model takes are sent in parts and joined again.
            shared_memory: "auto" has large tensors go through shared memory where the server is on this
                machine and allows it; "always" fails where that cannot be done; "off" by default.

        Raises:
            PyTritonClientInvalidUrlError: The URL cannot be understood.
            PyTritonClientValueError: Another argument is not what it should be.
            PyTritonClientError: With lazy_init=False what model_config raises; asyncio: at `async with`.
        """
        where = TritonUrl.from_url(url)
        _check_name(model_name)
        check_compression(compression)
        check_shared_memory(shared_memory)
        check_retry(retry)
        check_tls(tls)
        _check_token(access_token)
        token = {} if access_token is None else create_auth_headers(access_token, where.protocol)
        settings = Settings(
            url=where,
            model_name=model_name,
            model_version="" if model_version is None else str(model_version),
            init_timeout_s=checked_timeout("init_timeout_s", init_timeout_s, DEFAULT_INIT_TIMEOUT_S),
            inference_timeout_s=checked_timeout(
                "inference_timeout_s", inference_timeout_s, DEFAULT_INFERENCE_TIMEOUT_S
            ),
            ensure_model_is_ready=ensure_model_is_ready,
            headers=check_headers({**(headers or {}), **token}),
            tls=tls,
            retry=retry,
            compression=compression,
            split_batches=split_batches,
            shared_memory=shared_memory,
        )
        verified = model_config is not None and not ensure_model_is_ready
        self._start(settings, _session_of(settings, model_config, verified), lazy_init)

    @classmethod
    def from_existing_client(cls: type[Client], existing_client: BaseModelClient) -> Client:
        """Make a client with the settings of another one; what that knows of the model is not asked again.

        Args:
            existing_client: The other one; it may be closed.
        """
        other, settings = existing_client._session, existing_client._settings
        client = cls.__new__(cls)
        session = _session_of(settings, other.config, other.config is not None)
        session.inference.binary = other.inference.binary
        client._start(settings, session, existing_client._lazy_init)
        return client

    def _start(self, settings: Settings, session: Session, lazy_init: bool) -> None:
        self._settings = settings
        self._session = session
        self._lazy_init = lazy_init

    def get_lib(self) -> Any:
        """The module of tritonclient for this client's protocol.

        Raises:
            ImportError: That package is not installed.
        """
        from pytriton.client.utils import tritonclient_module

        return tritonclient_module(self._LIBRARIES[self._settings.url.protocol])

    def create_client_from_url(self, url: str, network_timeout_s: float | None = None) -> Any:
        """A client of tritonclient.

        Args:
            url: Where the server is.
            network_timeout_s: Seconds that a network operation may take.

        Raises:
            PyTritonClientInvalidUrlError: The URL cannot be understood.
            ImportError: That package is not installed.
        """
        from pytriton.client.utils import create_client_from_url

        return create_client_from_url(url, network_timeout_s)


def _session_of(settings: Settings, config: TritonModelConfig | None, verified: bool) -> Session:
    """A session, with shared memory if that is wanted; nobody else loads what it needs."""
    if settings.shared_memory == "off":
        return Session(settings, config, verified=verified)
    from pytriton.client._shared_memory.memory import Memory

    return Session(settings, config, verified=verified, memory=Memory(settings))


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise PyTritonClientValueError(f"model_name must be the name of a model, got {name!r}.")


def _check_token(token: Any) -> None:
    if token is not None and not isinstance(token, str):
        raise PyTritonClientValueError(f"access_token must be a text or None, got {token!r}.")
