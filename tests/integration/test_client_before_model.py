# SPDX-License-Identifier: Apache-2.0
"""Clients that come before the model that they want, as when both programs are started at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from pytriton.client import ModelClient
from pytriton.client.exceptions import PyTritonClientModelUnavailableError, PyTritonClientTimeoutError
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import TritonSecurityConfig
from tests.helpers.server import LOCAL, Model, Server

FLOATS = [Tensor((-1,), np.float32)]
PROTOCOLS = pytest.mark.parametrize("protocol", ["http", "grpc"])


@batch
def echo(INPUT_1: Any) -> list[Any]:
    return [INPUT_1]


def url_of(server: Server, protocol: str) -> str:
    return f"{protocol}://{LOCAL}:{server.http_port if protocol == 'http' else server.grpc_port}"


@PROTOCOLS
@pytest.mark.parametrize("endpoints", [None, []], ids=["list is hidden", "list is empty"])
def test_waits_for_a_model_that_may_be_coming(
    serve: Callable[..., Server], protocol: str, endpoints: list[str] | None
) -> None:
    server = serve(security_config=TritonSecurityConfig(restricted_endpoints=endpoints))
    url = url_of(server, protocol)
    with (
        ModelClient(url, "late", init_timeout_s=0.3) as client,
        pytest.raises(PyTritonClientTimeoutError, match=r"Waiting for .* to be ready timed out"),
    ):
        client.infer_sample(np.ones(1, np.float32))
    with ModelClient(url, "late", init_timeout_s=20) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.infer_sample, np.ones(1, np.float32))
        Model("late", echo, FLOATS, FLOATS).bind_to(server.triton)
        assert answer.result(20)["OUTPUT_1"].tolist() == [1]


@PROTOCOLS
def test_does_not_wait_for_ever(
    serve: Callable[..., Server], protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytriton.client._core.session._START_S", 0.2)
    server = serve(security_config=TritonSecurityConfig())
    begin = time.monotonic()
    with (
        ModelClient(url_of(server, protocol), "never") as client,
        pytest.raises(
            PyTritonClientModelUnavailableError,
            match=r"does not tell which models it has: that is restricted, and needs access_token=",
        ),
    ):
        client.infer_sample(np.ones(1, np.float32))
    assert time.monotonic() - begin < 20


@PROTOCOLS
def test_a_wrong_token_is_named(
    serve: Callable[..., Server], protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytriton.client._core.session._START_S", 0.2)
    server = serve(security_config=TritonSecurityConfig(access_token="right"))
    with (
        ModelClient(url_of(server, protocol), "never", access_token="wrong") as client,
        pytest.raises(PyTritonClientModelUnavailableError, match="another one than the client's"),
    ):
        client.infer_sample(np.ones(1, np.float32))
