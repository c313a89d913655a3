# SPDX-License-Identifier: Apache-2.0
"""Exceptions of the package and the error codes that the server knows.

PyTritonError
├── PyTritonValidationError          what was given does not fit together
│   └── PyTritonDefinitionError      a function is typed as no model can be
├── PyTritonInvalidOperationError    the operation is not possible in this state
├── PyTritonBadParameterError        a parameter is outside its range
├── PyTritonModelConfigError         a model configuration cannot be read
├── PyTritonUnrecoverableError       raised by an inference function to bring the server down
└── PyTritonRuntimeError             every other failure while running
    ├── PyTritonInferenceError       fails one request with a code of the function's choice
    ├── PyTritonServerError          the server did not start, stop or do what it was asked
    └── PyTritonModelLoadError       the server refused or failed to load a model
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = [
    "ErrorCode",
    "PyTritonBadParameterError",
    "PyTritonDefinitionError",
    "PyTritonError",
    "PyTritonInferenceError",
    "PyTritonInvalidOperationError",
    "PyTritonModelConfigError",
    "PyTritonModelLoadError",
    "PyTritonRuntimeError",
    "PyTritonServerError",
    "PyTritonUnrecoverableError",
    "PyTritonValidationError",
]


class ErrorCode(enum.IntEnum):
    """TRITONSERVER_Error_Code, with the statuses that the server's front ends make of it."""

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7

    @property
    def http_status(self) -> int:
        """Status of the HTTP response."""
        return _STATUSES[self][0]

    @property
    def grpc_status(self) -> str:
        """Name of the gRPC status code."""
        return _STATUSES[self][1]


_STATUSES: Final[dict[ErrorCode, tuple[int, str]]] = {
    ErrorCode.UNKNOWN: (400, "UNKNOWN"),
    ErrorCode.INTERNAL: (500, "INTERNAL"),
    ErrorCode.NOT_FOUND: (404, "NOT_FOUND"),
    ErrorCode.INVALID_ARG: (400, "INVALID_ARGUMENT"),
    ErrorCode.UNAVAILABLE: (503, "UNAVAILABLE"),
    ErrorCode.UNSUPPORTED: (501, "UNIMPLEMENTED"),
    ErrorCode.ALREADY_EXISTS: (400, "ALREADY_EXISTS"),
    ErrorCode.CANCELLED: (400, "CANCELLED"),
}


class PyTritonError(Exception):
    """Base of every exception of this package."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self._message = message

    def __str__(self) -> str:
        return self._message

    @property
    def message(self) -> str:
        """What went wrong, in words."""
        return self._message


class PyTritonValidationError(PyTritonError):
    """What was given does not fit together."""


class PyTritonDefinitionError(PyTritonValidationError):
    """A function or class of an App is typed as no model can be; the message says where in the program."""

    def __init__(self, message: str, place: str | None = None) -> None:
        """Take what is wrong, and where.

        Args:
            message: What is wrong.
            place: File and line, which the message begins with; None if they are not known.
        """
        super().__init__(message if place is None else f"{place}: {message}")
        self.place = place


class PyTritonInvalidOperationError(PyTritonError):
    """The operation is not possible in this state."""


class PyTritonBadParameterError(PyTritonError):
    """A parameter is outside its range."""


class PyTritonModelConfigError(PyTritonError):
    """A model configuration cannot be read."""


class PyTritonUnrecoverableError(PyTritonError):
    """Raised by an inference function when no further inference is possible: the server is brought down."""


class PyTritonRuntimeError(PyTritonError):
    """A failure while running that no other class names."""

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = code
        """The server's own error code, where the failure came from the server."""


class PyTritonInferenceError(PyTritonRuntimeError):
    """What a client is to be told of its request: returned for one request, or raised for a whole batch."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.INTERNAL) -> None:
        super().__init__(message, code)


class PyTritonServerError(PyTritonRuntimeError):
    """The server did not start, did not stop, or did not do what it was asked."""


class PyTritonModelLoadError(PyTritonRuntimeError):
    """The server refused or failed to load a model."""
