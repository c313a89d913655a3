# SPDX-License-Identifier: Apache-2.0
"""A real server in this process: models on free ports, and clients for it."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NamedTuple

import tritonclient.grpc
import tritonclient.http

from pytriton.exceptions import PyTritonServerError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.server.ports import free_ports
from pytriton.triton import Triton, TritonBase, TritonConfig, TritonSecurityConfig
from pytriton.workers import WorkerProcesses

__all__ = [
    "LOCAL",
    "OPEN",
    "TIMEOUT_S",
    "Address",
    "Model",
    "Reply",
    "Server",
    "free_ports",
    "local_config",
    "running",
    "start",
]

LOCAL: Final = "127.0.0.1"
TIMEOUT_S: Final = 20.0
OPEN: Final = TritonSecurityConfig(restricted_endpoints=[])
_ATTEMPTS: Final = 3
_METRIC: Final = re.compile(r'(?P<name>\w+)\{model="(?P<model>[^"]*)",[^}]*\} (?P<value>\S+)')


@dataclass
class Model:
    """What bind() takes."""

    name: str
    function: Callable[..., Any] | Sequence[Callable[..., Any]]
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    config: ModelConfig | None = None
    version: int = 1
    strict: bool = False
    workers: WorkerProcesses | None = None

    def bind_to(self, triton: TritonBase, *, replace: bool = False) -> None:
        """Bind it."""
        triton.bind(
            self.name,
            self.function,
            self.inputs,
            self.outputs,
            self.version,
            self.config,
            self.strict,
            replace=replace,
            workers=self.workers,
        )


class Reply(NamedTuple):
    """Answer to a plain HTTP request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Text of the error that the server reports."""
        text: str = self.json["error"]
        return text


def local_config(**options: Any) -> tuple[TritonConfig, Address]:
    """Configuration of a server on free ports of this machine, and where that will be."""
    ports = free_ports(3)
    names = ("http", "grpc", "metrics")
    given: dict[str, Any] = {f"{name}_address": LOCAL for name in names}
    given |= {f"{name}_port": port for name, port in zip(names, ports, strict=True)}
    return TritonConfig(**{**given, **options}), Address(*ports)


class Address:
    """Where a server answers, and clients for it."""

    def __init__(self, http_port: int, grpc_port: int, metrics_port: int) -> None:
        self.http_port = http_port
        self.grpc_port = grpc_port
        self.metrics_port = metrics_port
        self._clients = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """Where HTTP requests go."""
        return f"http://{LOCAL}:{self.http_port}"

    def http(self, **options: Any) -> tritonclient.http.InferenceServerClient:
        """A new HTTP client, which belongs to the thread that asks for it."""
        options = {"network_timeout": TIMEOUT_S, "connection_timeout": TIMEOUT_S, **options}
        client = tritonclient.http.InferenceServerClient(f"{LOCAL}:{self.http_port}", **options)
        self._clients.callback(client.close)
        return client

    def grpc(self, **options: Any) -> tritonclient.grpc.InferenceServerClient:
        """A new gRPC client, for any thread."""
        client = tritonclient.grpc.InferenceServerClient(f"{LOCAL}:{self.grpc_port}", **options)
        self._clients.callback(client.close)
        return client

    @functools.cached_property
    def http_client(self) -> tritonclient.http.InferenceServerClient:
        """The HTTP client of the main thread."""
        return self.http()

    @functools.cached_property
    def grpc_client(self) -> tritonclient.grpc.InferenceServerClient:
        """A gRPC client for everybody."""
        return self.grpc()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
    ) -> Reply:
        """One plain HTTP request on a connection of its own; any thread may make it."""
        connection = http.client.HTTPConnection(LOCAL, port or self.http_port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            encoded = body.encode() if isinstance(body, str) else body
            connection.request(method, path, encoded, {"Connection": "close", **(headers or {})})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())

    def get(self, path: str) -> Reply:
        """GET a path."""
        return self.request("GET", path)

    def post(self, path: str, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """POST a document as JSON."""
        return self.request("POST", path, json.dumps(document), headers)

    def infer(self, model: str, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """POST an inference request as JSON."""
        return self.post(f"/v2/models/{model}/infer", document, headers)

    def metrics(self, model: str) -> dict[str, float]:
        """Prometheus counters of a model; those that differ in other labels are summed up."""
        text = self.request("GET", "/metrics", port=self.metrics_port).body.decode()
        found: dict[str, float] = {}
        for match in _METRIC.finditer(text):
            if match["model"] == model:
                found[match["name"]] = found.get(match["name"], 0.0) + float(match["value"])
        return found

    def statistics(self, model: str) -> dict[str, Any]:
        """The server's statistics of a model."""
        (statistics,) = self.get(f"/v2/models/{model}/stats").json["model_stats"]
        return dict(statistics)

    def close(self) -> None:
        """Close the clients."""
        self._clients.close()


class Server(Address):
    """A Triton that runs in this process; closing it closes the clients too."""

    def __init__(self, triton: Triton, http_port: int, grpc_port: int, metrics_port: int) -> None:
        super().__init__(http_port, grpc_port, metrics_port)
        self.triton = triton

    def close(self) -> None:
        """Stop the server and close the clients."""
        try:
            super().close()
        finally:
            self.triton.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def start(models: Sequence[Model], config: Mapping[str, Any] | None = None, **options: Any) -> Server:
    """Start a server with these models; `config` is of TritonConfig, `options` are of Triton.

    No endpoint needs a token unless a security_config says so.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        http_port, grpc_port, metrics_port = free_ports(3)
        given = {
            **{"http_address": LOCAL, "grpc_address": LOCAL, "metrics_address": LOCAL},
            **{"http_port": http_port, "grpc_port": grpc_port, "metrics_port": metrics_port},
            "metrics_interval_ms": 100,  # a server that stops waits a part of it
            **(config or {}),
        }
        triton = Triton(config=TritonConfig(**given), **{"security_config": OPEN, **options})
        try:
            for model in models:
                model.bind_to(triton)
            triton.run()
        except PyTritonServerError as error:
            triton.stop()
            # Between our look and the server's somebody else may have taken a port.
            if "is taken" not in str(error) or attempt == _ATTEMPTS:
                raise
        except BaseException:
            triton.stop()
            raise
        else:
            return Server(triton, given["http_port"], given["grpc_port"], given["metrics_port"])
    raise AssertionError


@contextlib.contextmanager
def running(*models: Model, config: Mapping[str, Any] | None = None, **options: Any) -> Iterator[Server]:
    """A server with these models for the length of a block."""
    with start(models, config, **options) as server:
        yield server
