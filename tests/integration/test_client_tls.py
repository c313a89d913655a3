# SPDX-License-Identifier: Apache-2.0
"""Clients over TLS, in both protocols, with and without a certificate of their own; and over IPv6."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import (
    AsyncioDecoupledModelClient,
    AsyncioModelClient,
    DecoupledModelClient,
    FuturesModelClient,
    ModelClient,
)
from pytriton.client._http.connection import Connection
from pytriton.client.exceptions import PyTritonClientError, PyTritonClientTlsError
from pytriton.client.options import Tls
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.clients import Array
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, running
from tests.helpers.tls import make_certificates, tls_in_front_of

_OWN: Final = {"certificate": "crt", "key": "key"}
LARGE: Final = np.arange(300_000, dtype=np.float32)


@batch
def double(x: Array) -> dict[str, Array]:
    return {"y": 2 * x}


@batch
def twice(x: Array) -> Iterator[dict[str, Array]]:
    yield {"y": x}
    yield {"y": 2 * x}


def _models() -> list[Model]:
    x, y = [Tensor((-1,), np.float32, "x")], [Tensor((-1,), np.float32, "y")]
    return [
        Model("double", double, x, y, ModelConfig(max_batch_size=4)),
        Model("twice", twice, x, y, ModelConfig(max_batch_size=4, decoupled=True)),
    ]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", params=["https", "grpcs", "mutual"])
def place(request: pytest.FixtureRequest, certificates: Path) -> Iterator[tuple[str, Tls]]:
    """A URL, and what its clients need."""
    kind, ca = request.param, certificates / "ca.crt"
    if kind == "https":
        with running(*_models()) as server, tls_in_front_of(server.http_port, certificates) as port:
            yield f"https://localhost:{port}", Tls(ca)
        return
    config: dict[str, Any] = {
        "grpc_use_ssl_mutual" if kind == "mutual" else "grpc_use_ssl": True,
        "grpc_server_cert": certificates / "server.crt",
        "grpc_server_key": certificates / "server.key",
    }
    own: dict[str, Any] = {f"{name}_file": certificates / f"client.{end}" for name, end in _OWN.items()}
    if kind == "mutual":
        config["grpc_root_cert"] = ca
    with running(*_models(), config=config) as server:
        yield f"grpcs://localhost:{server.grpc_port}", Tls(ca, **own) if kind == "mutual" else Tls(ca)


def test_blocking(place: tuple[str, Tls]) -> None:
    url, tls = place
    with ModelClient(url, "double", tls=tls, inference_timeout_s=TIMEOUT_S) as client:
        for _ in range(3):
            assert client.infer_sample([1, 2])["y"].tolist() == [2, 4]
        assert np.array_equal(client.infer_sample(LARGE)["y"], 2 * LARGE)
    with FuturesModelClient(url, "double", tls=tls, max_workers=2) as futures:
        found = [futures.infer_sample([value]) for value in range(6)]
        assert [future.result(TIMEOUT_S)["y"].item() for future in found] == [0, 2, 4, 6, 8, 10]
    with DecoupledModelClient(url, "twice", tls=tls) as stream:
        assert [outputs["y"].tolist() for outputs in stream.infer_sample([3])] == [[3], [6]]


def test_asyncio(place: tuple[str, Tls]) -> None:
    url, tls = place

    async def main() -> None:
        async with AsyncioModelClient(url, "double", tls=tls) as client:
            found = await asyncio.gather(*(client.infer_sample([value]) for value in range(6)))
            assert [each["y"].item() for each in found] == [0, 2, 4, 6, 8, 10]
            assert np.array_equal((await client.infer_sample(LARGE))["y"], 2 * LARGE)
        async with AsyncioDecoupledModelClient(url, "twice", tls=tls) as stream:
            assert [outputs["y"].tolist() async for outputs in stream.infer_sample([3])] == [[3], [6]]

    asyncio.run(main())


def test_connections_are_kept(place: tuple[str, Tls], monkeypatch: pytest.MonkeyPatch) -> None:
    url, tls = place
    if not url.startswith("https"):
        pytest.skip("gRPC keeps its connection itself")
    made: list[Any] = []
    connect = Connection.open

    def counted(connection: Connection, *arguments: Any) -> None:
        made.append(connection)
        connect(connection, *arguments)

    monkeypatch.setattr(Connection, "open", counted)
    with ModelClient(url, "double", tls=tls) as client:
        for _ in range(5):
            client.infer_sample([1])
    assert len(made) == 1


def ask_blocking(url: str, **options: Any) -> Any:
    with ModelClient(url, "double", init_timeout_s=1.0, **options) as client:
        return client.infer_sample([1])["y"].tolist()


def ask_asyncio(url: str, **options: Any) -> Any:
    async def main() -> Any:
        async with AsyncioModelClient(url, "double", init_timeout_s=1.0, **options) as client:
            return (await client.infer_sample([1]))["y"].tolist()

    return asyncio.run(main())


@pytest.fixture(params=[ask_blocking, ask_asyncio])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    function: Callable[..., Any] = request.param
    return function


def test_a_server_that_nobody_vouches_for(place: tuple[str, Tls], ask: Any) -> None:
    url, _ = place
    with pytest.raises(PyTritonClientTlsError, match=r"certificate.*not trusted.*ca_file"):
        ask(url)


def test_a_server_that_need_not_be_vouched_for(place: tuple[str, Tls], ask: Any) -> None:
    url, _ = place
    if not url.startswith("https"):
        pytest.skip("gRPC always looks at the certificate")
    assert ask(url, tls=Tls(verify=False)) == [2]


def test_another_name_than_the_certificate_has(place: tuple[str, Tls], ask: Any) -> None:
    url, tls = place
    if not url.startswith("https"):
        pytest.skip("one protocol will do")
    # An address that leads to this machine too, and that the certificate does not have.
    with pytest.raises(PyTritonClientTlsError, match=r"certificate.*not trusted"):
        ask(url.replace("localhost", "0.0.0.0"), tls=tls)


def test_plain_to_an_encrypted_port(place: tuple[str, Tls], ask: Any) -> None:
    url, _ = place
    with pytest.raises(PyTritonClientError) as info:
        ask(url.replace("https", "http").replace("grpcs", "grpc"))
    assert url.partition("://")[2] in str(info.value)


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


@pytest.mark.parametrize("protocol", ["https", "grpcs"])
def test_encrypted_to_a_plain_port(plain: Server, certificates: Path, ask: Any, protocol: str) -> None:
    port = plain.http_port if protocol == "https" else plain.grpc_port
    with pytest.raises(PyTritonClientError) as info:
        ask(f"{protocol}://{LOCAL}:{port}", tls=Tls(certificates / "ca.crt"))
    assert str(port) in str(info.value)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_ipv6(ask: Any, protocol: str) -> None:
    if not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    config = {"http_address": "::1", "grpc_address": "[::1]"}
    with running(*_models(), config=config) as server:
        port = server.http_port if protocol == "http" else server.grpc_port
        assert ask(f"{protocol}://[::1]:{port}") == [2]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
