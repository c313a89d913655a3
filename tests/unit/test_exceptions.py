# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle

import pytest

from pytriton import exceptions
from pytriton.exceptions import (
    ErrorCode,
    PyTritonError,
    PyTritonModelLoadError,
    PyTritonRuntimeError,
    PyTritonServerError,
)

CLASSES = [
    value
    for name in exceptions.__all__
    if isinstance(value := getattr(exceptions, name), type) and issubclass(value, PyTritonError)
]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_exception_has_a_message(cls: type[PyTritonError]) -> None:
    error = cls("what went wrong")

    assert error.message == "what went wrong"
    assert str(error) == "what went wrong"
    assert error.args == ("what went wrong",)
    assert isinstance(error, PyTritonError)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_message_is_required_and_read_only(cls: type[PyTritonError]) -> None:
    with pytest.raises(TypeError):
        cls()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        cls("text").message = "other"  # type: ignore[misc]


@pytest.mark.parametrize("cls", CLASSES)
def test_exceptions_survive_pickling(cls: type[PyTritonError]) -> None:
    copy = pickle.loads(pickle.dumps(cls("text")))

    assert type(copy) is cls
    assert copy.message == "text"


def test_every_class_is_drawn_in_the_tree() -> None:
    assert exceptions.__doc__ is not None
    for cls in CLASSES:
        assert cls.__name__ in exceptions.__doc__


@pytest.mark.parametrize("cls", [PyTritonServerError, PyTritonModelLoadError])
def test_server_failures_are_runtime_errors_with_the_code_of_the_server(
    cls: type[PyTritonRuntimeError],
) -> None:
    error = pickle.loads(pickle.dumps(cls("gone", ErrorCode.UNAVAILABLE)))

    assert isinstance(error, PyTritonRuntimeError)
    assert error.code is ErrorCode.UNAVAILABLE
    assert cls("gone").code is None


@pytest.mark.parametrize(
    ("number", "name", "http", "grpc"),
    [
        (0, "UNKNOWN", 400, "UNKNOWN"),
        (1, "INTERNAL", 500, "INTERNAL"),
        (2, "NOT_FOUND", 404, "NOT_FOUND"),
        (3, "INVALID_ARG", 400, "INVALID_ARGUMENT"),
        (4, "UNAVAILABLE", 503, "UNAVAILABLE"),
        (5, "UNSUPPORTED", 501, "UNIMPLEMENTED"),
        (6, "ALREADY_EXISTS", 400, "ALREADY_EXISTS"),
        (7, "CANCELLED", 400, "CANCELLED"),
    ],
)
def test_error_codes_are_those_of_the_server(number: int, name: str, http: int, grpc: str) -> None:
    code = ErrorCode(number)

    assert (code.name, code.http_status, code.grpc_status) == (name, http, grpc)


def test_there_are_no_other_error_codes() -> None:
    assert list(ErrorCode) == list(range(8))
