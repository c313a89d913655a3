# SPDX-License-Identifier: Apache-2.0
"""A server that somebody else runs: which models it has, and loading and unloading them over HTTP or gRPC."""

from __future__ import annotations

import abc
import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pytriton.constants import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT
from pytriton.exceptions import PyTritonModelLoadError, PyTritonServerError, PyTritonValidationError
from pytriton.server.security import TRITON_ACCESS_HEADER

__all__ = ["Files", "HttpServer", "RemoteServer", "ServerUrl"]

Files = Mapping[str, bytes]
"""Contents by path in the directory of a model."""

_PORTS: Final = {"http": DEFAULT_HTTP_PORT, "https": DEFAULT_HTTP_PORT, "grpc": DEFAULT_GRPC_PORT}
_FORBIDDEN: Final = 403


@dataclass(frozen=True)
class ServerUrl:
    """Where a server answers."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> ServerUrl:
        """Read `[scheme://]host[:port]`."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except (TypeError, ValueError):
            scheme, host, port = "", None, None
        if scheme not in _PORTS or not host or any(map(str.isspace, host)) or port == 0:
            raise PyTritonValidationError(
                f"Invalid url {url!r}: expected [scheme://]host[:port] with scheme {', '.join(_PORTS)}."
            )
        return cls(scheme, host, port or _PORTS[scheme])

    @property
    def address(self) -> str:
        """host:port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.address}"


class RemoteServer(abc.ABC):
    """What can be asked of a server."""

    def __init__(self, url: ServerUrl, access_token: str | None) -> None:
        self.url = url
        self.access_token = access_token

    @abc.abstractmethod
    def check_live(self, timeout_s: float) -> None:
        """Raise PyTritonServerError if the server does not answer, or does not live."""

    @abc.abstractmethod
    def check_access(self, timeout_s: float) -> None:
        """Raise PyTritonServerError if the server does not let us at its models."""

    @abc.abstractmethod
    def has_model(self, name: str, timeout_s: float) -> bool:
        """Whether a version of a model is loaded, whoever has loaded it."""

    @abc.abstractmethod
    def parameter(self, name: str, key: str, timeout_s: float) -> str:
        """A parameter in the configuration of a model; "" if there is none, or it is not told."""

    @abc.abstractmethod
    def load(self, name: str, config: Mapping[str, Any], files: Files, timeout_s: float) -> None:
        """Load a model of these files; returns when it is ready."""

    @abc.abstractmethod
    def unload(self, name: str, timeout_s: float) -> None:
        """Begin to unload a model."""

    def unreachable(self, error: object) -> PyTritonServerError:
        """The server does not answer."""
        return PyTritonServerError(f"The Triton server at {self.url} does not answer: {error}.")

    def closed(self, text: str) -> PyTritonServerError:
        """The server does not let us at its models."""
        return PyTritonServerError(f"The Triton server at {self.url} does not list its models: {text}")

    def restricted(self, text: str) -> PyTritonServerError:
        """The server wants a token."""
        given = "it refuses the access_token given" if self.access_token else "give its access_token"
        return PyTritonServerError(f"The Triton server at {self.url} wants a token; {given}: {text}")

    def load_failure(self, name: str, text: str) -> PyTritonModelLoadError:
        """The server has not loaded a model."""
        return PyTritonModelLoadError(
            f'The Triton server at {self.url} could not load model "{name}": {text.strip()}'
        )

    def unload_failure(self, name: str, text: str) -> PyTritonServerError:
        """The server has not unloaded a model."""
        return PyTritonServerError(f'The Triton server at {self.url} does not unload model "{name}": {text}')


class HttpServer(RemoteServer):
    """Over HTTP, each time on a connection of its own."""

    def check_live(self, timeout_s: float) -> None:
        """Raise PyTritonServerError if the server does not answer, or does not live."""
        status, text = self._request("GET", "/v2/health/live", None, timeout_s)
        if status != http.client.OK:
            raise self.unreachable(f"status {status} {text}".strip())

    def check_access(self, timeout_s: float) -> None:
        """Raise PyTritonServerError if the server does not let us at its models."""
        status, text = self._request("POST", "/v2/repository/index", {}, timeout_s)
        if status != http.client.OK:
            raise self.closed(text)

    def has_model(self, name: str, timeout_s: float) -> bool:
        """Whether a version of a model is loaded, whoever has loaded it."""
        path = f"/v2/models/{quote(name, safe='')}"
        # One whose workers have gone is not ready, but there.
        answers = (self._request("GET", f"{path}{end}", None, timeout_s) for end in ("/ready", ""))
        return any(status == http.client.OK for status, _ in answers)

    def parameter(self, name: str, key: str, timeout_s: float) -> str:
        """A parameter in the configuration of a model; "" if there is none, or it is not told."""
        path = f"/v2/models/{quote(name, safe='')}/config"
        try:
            status, text = self._request("GET", path, None, timeout_s)
            document = json.loads(text) if status == http.client.OK else {}
            return str(document["parameters"][key]["string_value"])
        except (PyTritonServerError, KeyError, TypeError, ValueError):
            return ""

    def load(self, name: str, config: Mapping[str, Any], files: Files, timeout_s: float) -> None:
        """Load a model of these files; returns when it is ready."""
        parameters = {f"file:{path}": base64.b64encode(content).decode() for path, content in files.items()}
        document = {"parameters": {"config": json.dumps(config), **parameters}}
        status, text = self._request("POST", f"{_model_path(name)}/load", document, timeout_s)
        if status != http.client.OK:
            raise self.load_failure(name, text)

    def unload(self, name: str, timeout_s: float) -> None:
        """Begin to unload a model."""
        status, text = self._request("POST", f"{_model_path(name)}/unload", {}, timeout_s)
        if status != http.client.OK:
            raise self.unload_failure(name, text)

    def _request(self, method: str, path: str, document: Any, timeout_s: float) -> tuple[int, str]:
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.url.host, self.url.port, timeout=timeout_s)
        headers = {"Connection": "close"}
        if self.access_token:
            headers[TRITON_ACCESS_HEADER] = self.access_token
        body = None if document is None else json.dumps(document).encode()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = _error_text(response.read())
        except (OSError, http.client.HTTPException) as error:
            raise self.unreachable(str(error) or repr(error)) from error
        finally:
            connection.close()
        if response.status == _FORBIDDEN:
            raise self.restricted(text)
        return response.status, text


def _model_path(name: str) -> str:
    return f"/v2/repository/models/{quote(name, safe='')}"


def _error_text(body: bytes) -> str:
    text = body.decode(errors="replace")
    try:
        document = json.loads(text)
    except ValueError:
        return text
    return str(document["error"]) if isinstance(document, dict) and "error" in document else text
