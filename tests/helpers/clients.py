# SPDX-License-Identifier: Apache-2.0
"""One way to ask a server through each of its protocols, with NVIDIA's own clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import np_to_triton_dtype

from tests.helpers.server import TIMEOUT_S, Server

__all__ = ["TRANSPORTS", "Answer", "Array", "ask", "ask_later", "inputs_for", "pick"]

Array = npt.NDArray[Any]

TRANSPORTS: Final = ("json", "binary", "grpc")
_MODULES: Final = {"json": tritonclient.http, "binary": tritonclient.http, "grpc": tritonclient.grpc}


class Answer(NamedTuple):
    """A response: its outputs by name, and the client library's own object."""

    outputs: dict[str, Array]
    result: Any


def inputs_for(transport: str, arrays: Mapping[str, Array]) -> list[Any]:
    """Inputs of a request in the client library's form."""
    return [_input(transport, name, array) for name, array in arrays.items()]


def ask(
    server: Server,
    model: str,
    arrays: Mapping[str, Array],
    transport: str = "grpc",
    *,
    outputs: Sequence[str] | None = None,
    **options: Any,
) -> Answer:
    """Send a request and wait for its response; HTTP from the main thread only."""
    wanted = _outputs(transport, outputs, options)
    given = inputs_for(transport, arrays)
    if transport == "grpc":
        result = server.grpc_client.infer(model, given, outputs=wanted, client_timeout=TIMEOUT_S, **options)
        names = [output.name for output in result.get_response().outputs]
    else:
        result = server.http_client.infer(model, given, outputs=wanted, **options)
        names = [output["name"] for output in result.get_response().get("outputs", ())]
    return Answer({name: result.as_numpy(name) for name in names}, result)


def ask_later(
    server: Server,
    model: str,
    arrays: Mapping[str, Array],
    *,
    outputs: Sequence[str] | None = None,
    **options: Any,
) -> Future[dict[str, Array]]:
    """Send a request over gRPC; the future has the outputs, or the client library's exception."""
    future: Future[dict[str, Array]] = Future()

    def settle(result: Any, error: BaseException | None) -> None:
        if error is not None:
            future.set_exception(error)
        else:
            names = [output.name for output in result.get_response().outputs]
            future.set_result({name: result.as_numpy(name) for name in names})

    server.grpc_client.async_infer(
        model,
        inputs_for("grpc", arrays),
        settle,
        outputs=_outputs("grpc", outputs, options),
        client_timeout=TIMEOUT_S,
        **options,
    )
    return future


def pick(futures: Iterable[Future[dict[str, Array]]], name: str) -> list[Array]:
    """One output of each response."""
    return [future.result(TIMEOUT_S)[name] for future in futures]


def _input(transport: str, name: str, array: Array) -> Any:
    tensor = _MODULES[transport].InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    set_data: Callable[..., Any] = tensor.set_data_from_numpy
    if transport == "json":
        set_data(array, binary_data=False)
    else:
        set_data(np.ascontiguousarray(array))
    return tensor


def _outputs(transport: str, names: Sequence[str] | None, options: dict[str, Any]) -> list[Any] | None:
    output = _MODULES[transport].InferRequestedOutput
    if transport == "grpc":
        return None if names is None else [output(name) for name in names]
    if transport == "json":
        # Without outputs tritonclient asks for binary ones.
        return [output(name, binary_data=False) for name in names or ("OUTPUT_1",)]
    return None if names is None else [output(name, binary_data=True) for name in names]
