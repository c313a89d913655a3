# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pytriton.exceptions import PyTritonServerError, PyTritonValidationError
from pytriton.server.config import TritonConfig
from pytriton.server.ports import Endpoint, endpoints, is_listening, is_running, unsent_sockets


def opened(config: TritonConfig, environment: dict[str, str] | None = None) -> list[tuple[str, str, int]]:
    return [(found.name, found.address, found.port) for found in endpoints(config, environment or {})]


def at(port: int, name: str = "HTTP") -> Endpoint:
    return Endpoint(name, "http", "127.0.0.1", port)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_defaults() -> None:
    assert opened(TritonConfig()) == [
        ("HTTP", "0.0.0.0", 8000),
        ("gRPC", "0.0.0.0", 8001),
        ("metrics", "0.0.0.0", 8002),
    ]


def test_what_is_off_is_left_out() -> None:
    assert opened(TritonConfig(allow_http=False, allow_metrics=False)) == [("gRPC", "0.0.0.0", 8001)]


def test_metrics_follow_the_address_of_http() -> None:
    config = TritonConfig(http_address="127.0.0.2", grpc_address="127.0.0.3", allow_sagemaker=True)
    assert opened(config) == [
        ("HTTP", "127.0.0.2", 8000),
        ("gRPC", "127.0.0.3", 8001),
        ("metrics", "127.0.0.2", 8002),
        ("SageMaker", "0.0.0.0", 8080),
    ]


def test_vertex_environment() -> None:
    environment = {"AIP_MODE": "PREDICTION", "AIP_HTTP_PORT": "9090"}
    assert opened(TritonConfig(), environment) == [
        ("metrics", "0.0.0.0", 8002),
        ("Vertex AI", "0.0.0.0", 9090),
    ]
    assert opened(TritonConfig(allow_http=True, allow_metrics=False), environment) == [
        ("HTTP", "0.0.0.0", 8000),
        ("Vertex AI", "0.0.0.0", 9090),
    ]


@pytest.mark.parametrize("address", ["::1", "[::1]", "ipv6:::1"])
def test_ipv6_in_every_notation(address: str) -> None:
    config = TritonConfig(http_address=address, grpc_address=address, allow_metrics=False)
    http, grpc = endpoints(config, {})
    assert (http.server_address, http.local) == ("ipv6:::1", "[::1]:8000")
    assert (grpc.server_address, grpc.local) == ("[::1]", "[::1]:8001")


def test_wildcards_are_reached_on_the_loopback() -> None:
    assert Endpoint("HTTP", "http", "0.0.0.0", 1).local == "127.0.0.1:1"
    assert Endpoint("HTTP", "http", "::", 1).local == "[::1]:1"
    assert Endpoint("HTTP", "http", "10.0.0.1", 1).local == "10.0.0.1:1"


def test_names_are_resolved() -> None:
    assert opened(TritonConfig(http_address="localhost"))[0] == ("HTTP", "127.0.0.1", 8000)
    with pytest.raises(PyTritonServerError, match=r"grpc_address is 'no host'"):
        endpoints(TritonConfig(grpc_address="no host"), {})


def test_two_endpoints_on_one_port() -> None:
    with pytest.raises(PyTritonValidationError, match="http_port and metrics_port are both 9000"):
        endpoints(TritonConfig(http_port=9000, metrics_port=9000), {})
    endpoints(TritonConfig(http_port=9000, http_address="127.0.0.1", grpc_port=9000), {})


def test_own_listener_counts(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert is_listening(os.getpid(), [at(port)])
    assert not is_listening(os.getpid(), [at(port), at(port, "metrics")])


def test_bound_socket_that_does_not_listen_does_not_count() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert not is_listening(os.getpid(), [at(bound.getsockname()[1])])


def test_ipv6_listener_counts() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        assert is_listening(os.getpid(), [at(server.getsockname()[1])])


def test_listener_of_another_process_does_not_count(listener: socket.socket) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert not is_listening(other.pid, [at(listener.getsockname()[1])])


def test_process_that_is_gone(listener: socket.socket) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert not is_listening(gone.pid, [at(listener.getsockname()[1])])
    assert not unsent_sockets(gone.pid, [at(listener.getsockname()[1])])
    assert not is_running(gone.pid)


def test_unsent_data_is_seen(listener: socket.socket) -> None:
    served = [at(listener.getsockname()[1])]
    with socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert not unsent_sockets(os.getpid(), served)
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    connection.send(bytes(1 << 20))
            assert len(unsent_sockets(os.getpid(), served)) == 1


def test_running_threads_are_seen() -> None:
    assert is_running(os.getpid())
    with subprocess.Popen(["sleep", "10"]) as sleeper:
        while is_running(sleeper.pid):
            pass
        sleeper.kill()
