# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pytriton.client.auth import create_auth_headers, extract_access_token_from_headers

HTTP, GRPC = "triton-access-token", "triton-grpc-protocol-triton-access-token"


@pytest.mark.parametrize(
    ("protocol", "header"), [("http", HTTP), ("HTTP", HTTP), ("grpc", GRPC), ("gRPC", GRPC)]
)
def test_headers(protocol: str, header: str) -> None:
    assert create_auth_headers("secret", protocol) == {header: "secret"}


@pytest.mark.parametrize(
    ("token", "protocol"), [(None, "http"), ("", "http"), ("secret", "ftp"), ("secret", "")]
)
def test_bad_arguments(token: str | None, protocol: str) -> None:
    with pytest.raises(ValueError, match=r"no access token|protocol"):
        create_auth_headers(token, protocol)


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (None, None),
        ({}, None),
        ({"other": "x"}, None),
        ({HTTP: "a"}, "a"),
        ({GRPC.title(): "a"}, "a"),
        ({HTTP: "a", GRPC: "a"}, "a"),
        ({HTTP: ""}, None),
    ],
)
def test_extraction(headers: dict[str, str] | None, token: str | None) -> None:
    assert extract_access_token_from_headers(headers) == token


def test_tokens_that_differ() -> None:
    with pytest.raises(ValueError, match="different access tokens"):
        extract_access_token_from_headers({HTTP: "a", GRPC: "b"})
