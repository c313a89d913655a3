# SPDX-License-Identifier: Apache-2.0
"""Commands do not advise what only a program in Python could do."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pytriton import dtypes
from pytriton.cli.advice import IN_OPTIONS, in_options
from pytriton.client._core import advice
from pytriton.client._core.failures import from_grpc_status, from_http_status
from pytriton.client._core.tensors import as_array
from pytriton.client.exceptions import PyTritonClientInputError

PYTHON = re.compile(r"\w+\(|=\.\.\.|np\.|infer_|_s\b")


def test_there_is_an_option_for_everything_that_clients_advise() -> None:
    assert set(IN_OPTIONS) == {getattr(advice, name) for name in advice.__all__}
    for instead in IN_OPTIONS.values():
        assert not PYTHON.search(instead), instead


@pytest.mark.parametrize("told", list(IN_OPTIONS))
def test_advice_is_found_in_messages(told: str) -> None:
    text = in_options(f"something: {told.format(dtype='int64')} and more")
    assert text == f"something: {IN_OPTIONS[told]} and more"


def test_messages_of_clients() -> None:
    with pytest.raises(PyTritonClientInputError) as caught:
        as_array(np.array([1.5]), dtypes.resolve(np.int64), "x")
    assert in_options(str(caught.value)).endswith("without loss; give values that it can hold.")
    for error in (
        from_http_status(403, "restricted", "m"),
        from_grpc_status("UNAVAILABLE", "this protocol is restricted", "m", "grpc://x:1"),
    ):
        assert "--token or in PYTRITON_TOKEN" in in_options(str(error))
        assert not PYTHON.search(in_options(str(error)).replace("(403)", ""))


def taken(endpoint: str, port: int, option: str) -> str:
    advice = f"stop what listens there, or choose another with TritonConfig({option}_port=...) or"
    return f" {endpoint} port {port} is taken: {advice} `pytriton serve --{option}-port`."


def test_messages_of_the_server() -> None:
    start = "The Triton server cannot listen:"
    assert in_options(start + taken("HTTP", 1, "http")) == (
        f"{start} HTTP port 1 is taken: stop what listens there, or choose another with --http-port."
    )
    three = taken("HTTP", 1, "http") + taken("gRPC", 2, "grpc") + taken("metrics", 3, "metrics")
    assert in_options(start + three) == (
        f"{start} HTTP port 1, gRPC port 2 and metrics port 3 are taken: stop what listens there, or choose "
        "others with --http-port, --grpc-port and --metrics-port."
    )
    other = taken("HTTP", 1, "http") + " gRPC cannot listen on x port 2: no." + taken("metrics", 3, "metrics")
    assert "gRPC cannot listen on x port 2: no. metrics port 3 is taken" in in_options(start + other)
    assert in_options("TritonConfig.http_port: a port is 1") == "--http-port: a port is 1"
