# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
import ssl

import pytest

from pytriton.client import exceptions
from pytriton.client._core.failures import CONNECTING, from_http_failure
from pytriton.client._core.flow import Exchange
from pytriton.client._core.operations import ServerLive
from pytriton.client.exceptions import (
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
    PyTritonClientInputError,
    PyTritonClientInvalidUrlError,
    PyTritonClientModelUnavailableError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.client.warnings import NotSupportedTimeoutWarning, PyTritonWarning
from pytriton.exceptions import ErrorCode, PyTritonError

CLASSES = [getattr(exceptions, name) for name in exceptions.__all__]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_exception_has_a_message_and_survives_pickling(cls: type[PyTritonClientError]) -> None:
    error = pickle.loads(pickle.dumps(cls("what went wrong")))
    assert type(error) is cls
    assert error.message == str(error) == "what went wrong"
    assert isinstance(error, PyTritonClientError)
    assert not isinstance(error, (PyTritonError, TimeoutError, ValueError))


def test_the_tree_is_drawn() -> None:
    assert exceptions.__doc__ is not None
    for cls in CLASSES:
        assert cls.__name__ in exceptions.__doc__


def test_parents_of_earlier_versions() -> None:
    assert issubclass(PyTritonClientInvalidUrlError, PyTritonClientValueError)
    # A refused connection was a timeout in 0.7, and programs catch it as one.
    assert issubclass(PyTritonClientConnectionError, PyTritonClientTimeoutError)
    # So was waiting for a model that is not there; and it was the server that refused bad input.
    assert issubclass(PyTritonClientModelUnavailableError, PyTritonClientTimeoutError)
    assert issubclass(PyTritonClientInputError, PyTritonClientInferenceServerError)
    assert issubclass(PyTritonClientInputError, PyTritonClientValueError)
    assert issubclass(NotSupportedTimeoutWarning, PyTritonWarning)
    assert issubclass(PyTritonWarning, UserWarning)


def test_what_they_carry() -> None:
    assert PyTritonClientInferenceServerError("x", ErrorCode.UNAVAILABLE).code is ErrorCode.UNAVAILABLE
    assert PyTritonClientConnectionError("x", True).sent


@pytest.mark.parametrize("error", [ssl.SSLEOFError(8, "EOF"), ssl.SSLZeroReturnError(6, "closed")])
def test_a_server_that_ends_the_handshake_may_speak_no_tls(error: OSError) -> None:
    asked = Exchange(ServerLive(), 1.0, {}, "server")
    told = from_http_failure(error, CONNECTING, asked, "https://h:1", closed=False)
    assert isinstance(told, PyTritonClientConnectionError)
    assert "does it speak TLS on this port?" in str(told)
