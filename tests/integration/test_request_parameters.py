# SPDX-License-Identifier: Apache-2.0
"""Parameters of requests, and headers that the server passes on, as functions see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from tests.helpers.clients import ask, ask_later, pick
from tests.helpers.server import Server, running
from tests.helpers.wire_models import HEADERS, document_of, seen, wire_models

_PARAMETERS: Final = {"whole": 1, "large": 2**62, "negative": -5, "text": "Zażółć", "yes": True, "no": False}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = {"http_header_forward_pattern": HEADERS, "grpc_header_forward_pattern": HEADERS}
    with running(*wire_models(), config=config) as server:
        yield server


def test_parameters_reach_the_function(server: Server) -> None:
    seen.clear()
    server.infer("echo_list", document_of([1.0], parameters={**_PARAMETERS, "broken": 1.5}))
    server.infer("echo_list", document_of([1.0]))
    ask(server, "echo_list", {"x": np.zeros((1, 1), np.float32)}, parameters=_PARAMETERS)
    ask(server, "echo_list", {"x": np.zeros((1, 1), np.float32)}, "binary", parameters=_PARAMETERS)
    over_http, none, over_grpc, binary = seen
    assert over_http == {**_PARAMETERS, "broken": 1.5}
    assert none == {}
    assert over_grpc == _PARAMETERS
    assert {name: value for name, value in binary.items() if name != "binary_data_output"} == _PARAMETERS


def test_forwarded_headers_reach_the_function(server: Server) -> None:
    seen.clear()
    headers = {"X-Mixed": "Value", "x-lower": "=; ,", "Other": "not this one"}
    server.infer("echo_list", document_of([1.0], parameters={"own": 1}), headers)
    lower = {"x-lower": "value", "other": "not this one"}
    ask(server, "echo_list", {"x": np.zeros((1, 1), np.float32)}, headers=lower)
    assert seen == [{"X-Mixed": "Value", "x-lower": "=; ,", "own": 1}, {"x-lower": "value"}]


def test_headers_need_not_be_text(server: Server) -> None:
    seen.clear()
    reply = server.infer(
        "echo_list", document_of([1.0]), {"X-Latin": "\xe4\xff", "X-UTF": "Zażółć".encode().decode("latin-1")}
    )
    assert reply.status == 200
    assert seen[0]["X-UTF"] == "Zażółć"
    assert isinstance(seen[0]["X-Latin"], str)


def test_parameters_of_requests_in_a_batch(server: Server) -> None:
    seen.clear()
    values = {"x": np.zeros((1, 1), np.float32)}
    pick([ask_later(server, "echo_list", values, parameters={"n": number}) for number in range(20)], "y")
    assert sorted(given["n"] for given in seen) == list(range(20))
