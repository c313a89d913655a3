# SPDX-License-Identifier: Apache-2.0
"""Ways of asking the server for the same thing."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pytriton.client import AsyncioModelClient, ModelClient

__all__ = ["TEN_MB", "Ports", "ask_bare", "ask_ours", "ask_theirs", "flood_ours", "flood_theirs"]

Ask = Callable[[], object]
TEN_MB: Final = 2_500_000
"""Numbers of four bytes in it."""
Array = npt.NDArray[Any]


class Ports(NamedTuple):
    """Where the server is."""

    http: int
    grpc: int


def ask_ours(ports: Ports, protocol: str, array: Array, model: str = "", **options: Any) -> Ask:
    """One request after the other with ModelClient."""
    port = ports.http if protocol == "http" else ports.grpc
    client = ModelClient(f"{protocol}://127.0.0.1:{port}", model or _model(array), **options)
    return lambda: client.infer_sample(array)["y"]


def ask_theirs(ports: Ports, protocol: str, array: Array) -> Ask:
    """One request after the other with tritonclient, as its examples do it."""
    if protocol == "http":
        import tritonclient.http as library
    else:
        import tritonclient.grpc as library
    port = ports.http if protocol == "http" else ports.grpc
    client = library.InferenceServerClient(f"127.0.0.1:{port}")
    batch = array[None]
    return lambda: client.infer(_model(array), *_request(library, batch)).as_numpy("y")


def ask_bare(ports: Ports, array: Array) -> Ask:
    """The bytes of one request again and again, over http.client alone."""
    body, headers = _body(array)
    connection = http.client.HTTPConnection("127.0.0.1", ports.http)
    path = f"/v2/models/{_model(array)}/infer"

    def ask() -> object:
        connection.request("POST", path, body, headers)
        return connection.getresponse().read()

    return ask


def flood_ours(ports: Ports, protocol: str, array: Array, in_flight: int, count: int) -> Ask:
    """So many requests, so many of them at a time, with AsyncioModelClient."""
    port = ports.http if protocol == "http" else ports.grpc

    async def main() -> None:
        async with AsyncioModelClient(f"{protocol}://127.0.0.1:{port}", "echo") as client:
            await _flood(lambda: client.infer_sample(array), in_flight, count)

    return lambda: asyncio.run(main())


def flood_theirs(ports: Ports, protocol: str, array: Array, in_flight: int, count: int) -> Ask:
    """The same with tritonclient's asyncio client."""
    if protocol == "http":
        import tritonclient.http.aio as library
    else:
        import tritonclient.grpc.aio as library
    port = ports.http if protocol == "http" else ports.grpc
    batch = array[None]

    async def main() -> None:
        async with library.InferenceServerClient(f"127.0.0.1:{port}") as client:

            async def ask() -> object:
                return (await client.infer("echo", *_request(library, batch))).as_numpy("y")

            await _flood(ask, in_flight, count)

    return lambda: asyncio.run(main())


async def _flood(ask: Callable[[], Awaitable[object]], in_flight: int, count: int) -> None:
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await ask()

    await asyncio.gather(*(worker() for _ in range(in_flight)))


def _request(library: Any, batch: Array) -> tuple[list[Any], str]:
    tensor = library.InferInput("x", list(batch.shape), "BYTES" if batch.dtype == object else "FP32")
    tensor.set_data_from_numpy(batch)
    return [tensor], ""


def _model(array: Array) -> str:
    return "strings" if array.dtype == object else "echo"


def _body(array: Array) -> tuple[bytes, dict[str, str]]:
    size = {"binary_data_size": array.nbytes}
    tensor = {"name": "x", "shape": [1, array.size], "datatype": "FP32", "parameters": size}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + np.ascontiguousarray(array).tobytes(), {"Inference-Header-Content-Length": str(len(head))}
