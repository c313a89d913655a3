# SPDX-License-Identifier: Apache-2.0
"""Answers that are errors, as exceptions: one place for both protocols."""

from __future__ import annotations

from typing import Final

from pytriton.client._core import advice
from pytriton.client._core.flow import Exchange
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientClosedError,
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
    PyTritonClientProtocolError,
    PyTritonClientTimeoutError,
    PyTritonClientTlsError,
)
from pytriton.exceptions import ErrorCode

__all__ = [
    "CONNECTING",
    "NotHttp",
    "from_grpc_status",
    "from_http_failure",
    "from_http_status",
    "late",
    "wrong_port",
]

_BY_HTTP_STATUS: Final = {
    400: ErrorCode.INVALID_ARG,
    404: ErrorCode.NOT_FOUND,
    500: ErrorCode.INTERNAL,
    501: ErrorCode.UNSUPPORTED,
    503: ErrorCode.UNAVAILABLE,
}
_BY_GRPC_STATUS: Final = {code.grpc_status: code for code in ErrorCode}
# What gRPC says under UNAVAILABLE when there is no connection; else it is the server's own word.
_NO_CONNECTION: Final = (
    "failed to connect",
    "connections to all backends failing",
    "dns resolution failed",
    "errors resolving",
    "name resolution",
    "socket closed",
    "connection reset",
    "connection refused",
    "connection closed",
    "broken pipe",
    "end of tcp stream",
    "stream removed",
    "transport closed",
    "too_many_pings",
    "goaway",
)
_NEVER_CONNECTED: Final = ("failed to connect", "resolution", "errors resolving")
_NOT_HTTP2: Final = ("http1.x", "http/1.", "failed parsing http/2", "expected settings frame", "ssl routines")
CONNECTING: Final = "connecting to"
_REFUSED: Final = "connection refused: nothing listens there; is the server running, and on this port?"
_UNTRUSTED: Final = ("certificate verify failed", "certificate_verify_failed", "hostname mismatch")


def from_http_status(status: int, text: str, what: str) -> PyTritonClientError:
    """The exception for an HTTP status that is not 200."""
    if status in (401, 403):
        return PyTritonClientAccessDeniedError(f"{what}: access denied ({status}): {text}. {advice.TOKEN}")
    return PyTritonClientInferenceServerError(f"{what}: {text}", _BY_HTTP_STATUS.get(status))


def from_grpc_status(name: str, details: str, what: str, target: str) -> PyTritonClientError:
    """The exception for a gRPC status that is not OK."""
    lowered = details.lower()
    if name == "DEADLINE_EXCEEDED":
        return PyTritonClientTimeoutError(f"{what}: no answer in time from {target}. Deadline Exceeded")
    if name == "UNAVAILABLE":
        if any(sign in lowered for sign in _UNTRUSTED):
            return _untrusted(what, target, details)
        if "wrong_version_number" in lowered:
            return _unencrypted(what, target)
        if any(sign in lowered for sign in _NOT_HTTP2):
            return wrong_port(what, target)
        if "restricted" in lowered:
            return PyTritonClientAccessDeniedError(f"{what}: access denied: {details}. {advice.TOKEN}")
        if any(sign in lowered for sign in _NO_CONNECTION):
            # Only a connection that was there before can have carried the request.
            sent = not any(sign in lowered for sign in _NEVER_CONNECTED)
            broken = f"the connection to {target} broke before the answer"
            stage = broken if sent else f"no connection to {target}"
            if not sent and "connection refused" in lowered:
                details = _REFUSED
            return PyTritonClientConnectionError(f"{what}: {stage}: {details}", sent)
    if name in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return PyTritonClientAccessDeniedError(f"{what}: access denied: {details}. {advice.TOKEN}")
    if name == "UNIMPLEMENTED" and not details:
        details = "the server does not know this call"
    return PyTritonClientInferenceServerError(f"{what}: {details}", _BY_GRPC_STATUS.get(name))


def _untrusted(what: str, target: str, details: str) -> PyTritonClientTlsError:
    return PyTritonClientTlsError(
        f"{what}: the certificate of {target} is not trusted: {details}. {advice.TLS}"
    )


def _unencrypted(what: str, target: str) -> PyTritonClientTlsError:
    return PyTritonClientTlsError(
        f"{what}: {target} speaks no TLS; use {target.replace('s://', '://')}, or the port that does."
    )


def wrong_port(what: str, target: str) -> PyTritonClientProtocolError:
    """The exception for an answer in another protocol than the URL's."""
    if target.startswith("http"):
        other = "This looks like the gRPC port; use grpc://host:port (8001 by default) or the HTTP port."
    else:
        other = "This looks like the HTTP port; use http://host:port (8000 by default) or the gRPC port."
    return PyTritonClientProtocolError(f"{what}: {target} answers in another protocol. {other}")


def late(command: Exchange, timeout_s: float | None = None) -> PyTritonClientTimeoutError:
    """The exception for a stream: a response did not come in time, or all did not come in `timeout_s`."""
    if timeout_s is not None:
        return PyTritonClientTimeoutError(
            f"{command.what}: not all responses came within the {timeout_s:.3g} s for them. Deadline Exceeded"
        )
    return PyTritonClientTimeoutError(
        f"{command.what}: Timeout while waiting for model to return the next response, "
        f"which did not come within {command.timeout_s:.3g} s."
    )


class NotHttp(Exception):
    """What came is no HTTP/1.1; the argument is its beginning."""


def from_http_failure(
    error: Exception, stage: str, command: Exchange, target: str, *, closed: bool
) -> PyTritonClientError:
    """The exception for a request that got no reply.

    Args:
        error: What happened.
        stage: What was being done: "connecting to", for example.
        command: What was asked.
        target: The server.
        closed: Whether the client has been closed meanwhile.
    """
    what = command.what
    if isinstance(error, PyTritonClientError):
        return error
    if closed:
        return PyTritonClientClosedError(f"{what}: the client was closed while a request was under way.")
    if isinstance(error, TimeoutError):
        return PyTritonClientTimeoutError(
            f"{what}: {stage} {target} timed out after {command.timeout_s:.3g} s."
        )
    if isinstance(error, NotHttp):
        said = str(error)
        # HTTP/2, on which gRPC runs, begins with the length of a frame: three bytes, of which the first is 0.
        if said.startswith("\0"):
            return wrong_port(what, target)
        return PyTritonClientProtocolError(
            f"{what}: {target} does not answer as an HTTP server does; it says {said!r}."
        )
    # The ssl module's are OSErrors, and some of them ValueErrors too.
    lowered = str(error).lower()
    if any(sign in lowered for sign in _UNTRUSTED):
        return _untrusted(what, target, str(error))
    if "wrong_version_number" in lowered or "wrong version number" in lowered:
        return _unencrypted(what, target)
    if isinstance(error, ValueError):
        return PyTritonClientProtocolError(f"{what}: the answer of {target} cannot be read: {error}.")
    sent = stage != CONNECTING
    return PyTritonClientConnectionError(f"{what}: {stage} {target} failed: {_describe(error)}", sent)


def _describe(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return _REFUSED
    # Of a module that is not loaded for nothing.
    if type(error).__name__ in ("SSLEOFError", "SSLZeroReturnError"):
        return "the server ended the handshake of TLS; does it speak TLS on this port?"
    if isinstance(error, ConnectionResetError):
        return "the server closed the connection before it answered"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{text} ({type(error).__name__})"
