# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from pytriton.client._core.url import TritonUrl
from pytriton.client.exceptions import PyTritonClientInvalidUrlError, PyTritonClientValueError


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("localhost", "http", "localhost", 8000),
        ("localhost:8001", "http", "localhost", 8001),
        ("http://Host.Example", "http", "host.example", 8000),
        ("HTTP://h:1", "http", "h", 1),
        ("https://h", "https", "h", 8000),
        ("grpc://h", "grpc", "h", 8001),
        ("GRPCS://h:443", "grpcs", "h", 443),
        ("grpc://user:secret@h:9/path?query", "grpc", "h", 9),
        ("127.0.0.1/", "http", "127.0.0.1", 8000),
        ("[::1]:9", "http", "::1", 9),
        ("grpc://[fe80::1]", "grpc", "fe80::1", 8001),
    ],
)
def test_urls(url: str, scheme: str, host: str, port: int) -> None:
    parsed = TritonUrl.from_url(url)
    assert parsed == TritonUrl(scheme, host, port)
    assert TritonUrl.from_url(parsed.with_scheme) == parsed
    assert parsed.with_scheme == f"{scheme}://{parsed.without_scheme}"


def test_what_is_left_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    TritonUrl.from_url("http://localhost:8000/")
    assert not caplog.messages
    TritonUrl.from_url("http://user:secret@h:9")
    assert [message for message in caplog.messages if "http://h:9 has a user name" in message]
    caplog.clear()
    TritonUrl.from_url("grpc://h/prefix")
    assert caplog.messages == ["Of the url of grpc://h:8001 all that follows the port is left out."]
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "http://",
            ":8000",
            "ftp://h",
            "h:port",
            "h:99999",
            "h:0",
            "http://[::1",
            "a b",
            None,
            8000,
            b"h",
        ),
        *("a..b", "x" * 64),
    ],
)
def test_what_is_no_url(url: Any) -> None:
    with pytest.raises(
        PyTritonClientInvalidUrlError, match=r"Invalid url .*expected \[scheme://\]host"
    ) as info:
        TritonUrl.from_url(url)
    assert isinstance(info.value, PyTritonClientValueError)


@pytest.mark.parametrize(
    ("url", "protocol", "encrypted", "local"),
    [
        ("http://localhost", "http", False, True),
        ("https://127.1.2.3", "http", True, True),
        ("grpc://[::1]", "grpc", False, True),
        ("grpcs://example.org", "grpc", True, False),
    ],
)
def test_what_follows_from_a_url(url: str, protocol: str, encrypted: bool, local: bool) -> None:
    parsed = TritonUrl.from_url(url)
    assert (parsed.protocol, parsed.is_encrypted, parsed.is_local) == (protocol, encrypted, local)
