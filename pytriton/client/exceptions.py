# SPDX-License-Identifier: Apache-2.0
"""Exceptions of the clients.

PyTritonClientError
├── PyTritonClientValueError                          what was given does not fit; nothing was sent
│   ├── PyTritonClientInputError                      the model does not take such input
│   └── PyTritonClientInvalidUrlError                 the URL cannot be understood
├── PyTritonClientTimeoutError                        no answer in time
│   ├── PyTritonClientConnectionError                 no connection, or it broke before the answer
│   └── PyTritonClientModelUnavailableError           the server has no such model or version
├── PyTritonClientModelDoesntSupportBatchingError     infer_batch on a model without batches
├── PyTritonClientClosedError                         the client is closed
├── PyTritonClientAbortedError                        the future was aborted while its request was under way
├── PyTritonClientSharedMemoryError                   shared_memory="always", and it cannot be used
├── PyTritonClientQueueFullError                      too many requests wait in a FuturesModelClient
└── PyTritonClientInferenceServerError                the server answered with an error
    ├── PyTritonClientAccessDeniedError               the endpoint wants a token
    ├── PyTritonClientInputError                      as above: without a check here, the server would say so
    └── PyTritonClientProtocolError                   the answer is not what the protocol says
        └── PyTritonClientTlsError                    the server's certificate, or ours, will not do
"""

from __future__ import annotations

from pytriton.exceptions import ErrorCode

__all__ = [
    "PyTritonClientAbortedError",
    "PyTritonClientAccessDeniedError",
    "PyTritonClientClosedError",
    "PyTritonClientConnectionError",
    "PyTritonClientError",
    "PyTritonClientInferenceServerError",
    "PyTritonClientInputError",
    "PyTritonClientInvalidUrlError",
    "PyTritonClientModelDoesntSupportBatchingError",
    "PyTritonClientModelUnavailableError",
    "PyTritonClientProtocolError",
    "PyTritonClientQueueFullError",
    "PyTritonClientSharedMemoryError",
    "PyTritonClientTimeoutError",
    "PyTritonClientTlsError",
    "PyTritonClientValueError",
]


class PyTritonClientError(Exception):
    """Base of every exception of the clients."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self._message = message

    def __str__(self) -> str:
        return self._message

    @property
    def message(self) -> str:
        """What went wrong, in words."""
        return self._message


class PyTritonClientValueError(PyTritonClientError):
    """What was given does not fit; nothing was sent."""


class PyTritonClientInvalidUrlError(PyTritonClientValueError):
    """The URL cannot be understood."""


class PyTritonClientTimeoutError(PyTritonClientError):
    """No answer in time."""


class PyTritonClientConnectionError(PyTritonClientTimeoutError):
    """No connection, or it broke before the answer; a timeout, for that is what 0.7 called it."""

    def __init__(self, message: str, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        """Whether the server may have seen the request."""


class PyTritonClientModelUnavailableError(PyTritonClientTimeoutError):
    """The server has no such model or version; a timeout, for that is what it ended in with 0.7."""


class PyTritonClientClosedError(PyTritonClientError):
    """The client is closed."""


class PyTritonClientAbortedError(PyTritonClientError):
    """The future was aborted while its request was under way."""


class PyTritonClientModelDoesntSupportBatchingError(PyTritonClientError):
    """infer_batch on a model without batches; use infer_sample."""


class PyTritonClientInferenceServerError(PyTritonClientError):
    """The server answered with an error."""

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = code
        """The server's own error code, where the answer tells it."""


class PyTritonClientInputError(PyTritonClientValueError, PyTritonClientInferenceServerError):
    """The model does not take such input; nothing was sent. With 0.7 it was the server that said so."""


class PyTritonClientAccessDeniedError(PyTritonClientInferenceServerError):
    """The endpoint wants a token, or another one."""


class PyTritonClientProtocolError(PyTritonClientInferenceServerError):
    """The answer is not what the protocol says."""


class PyTritonClientSharedMemoryError(PyTritonClientError):
    """The client was made with shared_memory="always", and it cannot be used; the message says why."""


class PyTritonClientTlsError(PyTritonClientProtocolError):
    """There is no encrypted connection: nobody vouches for the server, or one side speaks no TLS."""


class PyTritonClientQueueFullError(PyTritonClientError):
    """Too many requests wait in a FuturesModelClient."""
