# SPDX-License-Identifier: Apache-2.0
"""What would not arrive as it was given is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from pytriton.client import InferOptions, ModelClient
from pytriton.client._core.failures import from_grpc_status
from pytriton.client._core.request import check_headers, check_parameters
from pytriton.client._grpc.transport import metadata_of
from pytriton.client._http.body import message_of
from pytriton.client._http.wire import HttpRequest
from pytriton.client.exceptions import PyTritonClientValueError

NUL = "has a NUL character, at which the server would cut it off: "
UTF8 = "cannot be sent as UTF-8 (surrogates not allowed at character 1): "


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"a\0b": 1}, rf"parameters: a name {NUL}'a\x00b'; leave it out."),
        ({"a": "x\0y"}, rf"parameters: the value of 'a' {NUL}'x\x00y'; leave it out."),
        ({"a": "\0" * 1000}, "..."),
        ({"a\ud800": 1}, rf"parameters: a name {UTF8}'a\ud800'."),
        ({"a": "x\ud800"}, rf"parameters: the value of 'a' {UTF8}'x\ud800'."),
    ],
)
def test_parameters(parameters: Any, expected: str) -> None:
    with pytest.raises(PyTritonClientValueError) as caught:
        check_parameters(parameters)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_is_asked(scheme: str) -> None:
    client = ModelClient(f"{scheme}://127.0.0.1:1", "m", lazy_init=True, init_timeout_s=1)
    with client, pytest.raises(PyTritonClientValueError, match="NUL"):
        client.infer_sample(1, parameters={"a": "b\0"})


@pytest.mark.parametrize("name", ["request_id", "sequence_id"])
def test_ids(name: str) -> None:
    with pytest.raises(PyTritonClientValueError, match=f"InferOptions: {name} has a NUL character"):
        InferOptions(**{name: "a\0b"})  # type: ignore[arg-type]
    with pytest.raises(PyTritonClientValueError, match=f"InferOptions: {name} cannot be sent as UTF-8"):
        InferOptions(**{name: "a\ud800"})  # type: ignore[arg-type]


def test_headers_that_say_how_the_body_is_sent() -> None:
    with pytest.raises(PyTritonClientValueError, match="'Transfer-Encoding' says how the body is sent"):
        check_headers({"Transfer-Encoding": "chunked"})
    (message,) = message_of(HttpRequest("POST", "/", [b"body"], {}), "host", {"content-length": "2"})
    assert bytes(message).lower().count(b"content-length") == 1
    assert b"Content-Length: 4\r\n" in bytes(message)


def test_headers_that_are_bytes_to_grpc() -> None:
    with pytest.raises(PyTritonClientValueError, match="'x-trace-bin' has a text; choose another name"):
        metadata_of({"X-Trace-Bin": "abc"})


def test_a_connection_that_breaks_is_no_connection_that_never_was() -> None:
    broken = from_grpc_status("UNAVAILABLE", "Stream removed (Socket closed)", "m", "grpc://x:1")
    assert str(broken).startswith("m: the connection to grpc://x:1 broke before the answer: Stream removed")
    refused = from_grpc_status("UNAVAILABLE", "failed to connect: Connection refused", "m", "grpc://x:1")
    assert str(refused).endswith("nothing listens there; is the server running, and on this port?")
    never = from_grpc_status("UNAVAILABLE", "failed to connect to all addresses", "m", "grpc://x:1")
    assert str(never).startswith("m: no connection to grpc://x:1: failed to connect")
