# SPDX-License-Identifier: Apache-2.0
"""The v2 protocol over HTTP, without any input or output: operations to requests, replies to results."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from pytriton import dtypes
from pytriton.client._core import failures
from pytriton.client._core import operations as ops
from pytriton.client._core.tensors import Buffer, TensorData, decode_data, decode_list
from pytriton.client.exceptions import PyTritonClientInferenceServerError, PyTritonClientProtocolError
from pytriton.exceptions import PyTritonValidationError

__all__ = [
    "HEADER_LENGTH",
    "HttpReply",
    "HttpRequest",
    "decode",
    "encode",
    "error_text",
    "model_path",
]

HEADER_LENGTH: Final = "inference-header-content-length"
_UNREADABLE: Final = (
    AttributeError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    OverflowError,
    PyTritonValidationError,
)
_dumps: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class HttpRequest:
    """A request for a transport to send."""

    method: str
    path: str
    body: Sequence[Buffer] = ()
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class HttpReply:
    """A reply that a transport has read; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Buffer


def model_path(model: str, version: str) -> str:
    """Where a model is."""
    path = f"/v2/models/{quote(model, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def encode(operation: ops.Operation) -> HttpRequest:
    """The request for an operation."""
    return _ENCODERS[type(operation)](operation)


def decode(operation: ops.Operation, reply: HttpReply, what: str) -> Any:
    """The result of an operation, or the exception that the reply amounts to.

    Args:
        operation: What was asked.
        reply: What the server said.
        what: Beginning of messages.
    """
    if reply.status != 200:
        if isinstance(operation, (ops.ServerLive, ops.ServerReady, ops.ModelReady)) and reply.status in (
            400,
            404,
            503,
        ):
            return False
        raise failures.from_http_status(reply.status, error_text(reply), what)
    try:
        return _DECODERS[type(operation)](reply)
    except _UNREADABLE as error:
        shown = bytes(reply.body[:80])
        raise PyTritonClientProtocolError(
            f"{what}: the answer cannot be read as the v2 protocol has it ({type(error).__name__}: {error}); "
            f"it begins with {shown!r}. Is this the HTTP port of a Triton or KServe v2 server?"
        ) from error


def error_text(reply: HttpReply) -> str:
    """What a reply says went wrong."""
    text = bytes(reply.body[: 1 << 20]).decode("utf-8", "replace").strip()
    try:
        error = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        if reply.status == 404:
            return (
                f"404 not found: {text[:200] or 'no explanation'}; "
                "is this the HTTP port of a Triton or KServe v2 server?"
            )
        return f"HTTP status {reply.status}: {text[:1000] or 'no explanation'}"
    return str(error)


def _get(path: str) -> Callable[[Any], HttpRequest]:
    return lambda _: HttpRequest("GET", path)


def _get_model(suffix: str) -> Callable[[Any], HttpRequest]:
    return lambda operation: HttpRequest("GET", model_path(operation.model, operation.version) + suffix)


def _get_statistics(operation: ops.GetStatistics) -> HttpRequest:
    path = model_path(operation.model, operation.version) if operation.model else "/v2/models"
    return HttpRequest("GET", f"{path}/stats")


def _post(path: str, document: Any) -> HttpRequest:
    return HttpRequest("POST", path, [_dumps(document).encode()], {"Content-Type": "application/json"})


def _encode_load(operation: ops.LoadModel) -> HttpRequest:
    parameters: dict[str, str] = {} if operation.config is None else {"config": operation.config}
    for path, content in operation.files.items():
        parameters[path] = base64.b64encode(content).decode()
    path = f"/v2/repository/models/{quote(operation.model, safe='')}/load"
    return _post(path, {"parameters": parameters} if parameters else {})


def _encode_unload(operation: ops.UnloadModel) -> HttpRequest:
    path = f"/v2/repository/models/{quote(operation.model, safe='')}/unload"
    return _post(path, {"parameters": {"unload_dependents": False}})


def _encode_register(operation: ops.RegisterMemory) -> HttpRequest:
    path = f"/v2/systemsharedmemory/region/{quote(operation.name, safe='')}/register"
    return _post(path, {"key": operation.key, "offset": 0, "byte_size": operation.byte_size})


def _encode_unregister(operation: ops.UnregisterMemory) -> HttpRequest:
    return _post(f"/v2/systemsharedmemory/region/{quote(operation.name, safe='')}/unregister", {})


def _encode_infer(operation: ops.Infer) -> HttpRequest:
    document: dict[str, Any] = {}
    if operation.request_id:
        document["id"] = operation.request_id
    document["inputs"] = [_describe_input(tensor, operation.binary) for tensor in operation.inputs]
    parameters = {**operation.parameters, **operation.reserved}
    if operation.outputs:
        document["outputs"] = [_describe_output(name, operation) for name in operation.outputs]
    elif operation.binary:
        parameters["binary_data_output"] = True
    if parameters:
        document["parameters"] = parameters
    head = _dumps(document).encode()
    path = model_path(operation.model, operation.version) + "/infer"
    if not operation.binary:
        return HttpRequest("POST", path, [head], {"Content-Type": "application/json"})
    body: list[Buffer] = [head]
    body += [tensor.data for tensor in operation.inputs if tensor.region is None]
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return HttpRequest("POST", path, body, headers)


def _encode_generate(operation: ops.Generate) -> HttpRequest:
    path = f"{model_path(operation.model, operation.version)}/generate_stream"
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    return HttpRequest("POST", path, [_dumps(operation.document).encode()], headers)


def _describe_input(tensor: TensorData, binary: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": tensor.name,
        "shape": tensor.shape,
        "datatype": tensor.datatype,
    }
    if tensor.region is not None:
        region, size, offset = tensor.region
        described["parameters"] = {"shared_memory_region": region, "shared_memory_byte_size": size}
        if offset:
            described["parameters"]["shared_memory_offset"] = offset
    elif binary:
        described["parameters"] = {"binary_data_size": len(tensor.data)}
    else:
        described["data"] = _as_list(tensor)
    return described


def _as_list(tensor: TensorData) -> list[Any]:
    row = dtypes.from_name(tensor.datatype)
    flat: list[Any] = decode_data(tensor.data, row, (math.prod(tensor.shape),)).tolist()
    if row is dtypes.BYTES:
        return [value.decode() for value in flat]
    return flat


def _describe_output(name: str, operation: ops.Infer) -> dict[str, Any]:
    place = operation.regions.get(name)
    if place is not None:
        parameters: dict[str, Any] = {
            "shared_memory_region": place.region,
            "shared_memory_byte_size": place.byte_size,
        }
        if place.offset:
            parameters["shared_memory_offset"] = place.offset
        return {"name": name, "parameters": parameters}
    return {"name": name, "parameters": {"binary_data": True}} if operation.binary else {"name": name}


def _decode_json(reply: HttpReply) -> Any:
    document = json.loads(bytes(reply.body))
    if not isinstance(document, dict):
        raise TypeError(f"expected a JSON object, got {type(document).__name__}")
    return document


def _decode_index(reply: HttpReply) -> list[ops.ModelEntry]:
    entries = json.loads(bytes(reply.body))
    return [
        ops.ModelEntry(
            entry["name"], str(entry.get("version", "")), entry.get("state", ""), entry.get("reason", "")
        )
        for entry in entries
    ]


def _decode_memory(reply: HttpReply) -> list[str]:
    return [region["name"] for region in json.loads(bytes(reply.body))]


def _decode_infer(reply: HttpReply) -> dict[str, Any]:
    body = memoryview(reply.body)
    length = reply.headers.get(HEADER_LENGTH)
    end = len(body) if length is None else int(length)
    if not 0 <= end <= len(body):
        raise ValueError(f"the JSON part is said to have {end} bytes, the whole answer has {len(body)}")
    document = json.loads(bytes(body[:end]))
    if "error" in document:
        raise PyTritonClientInferenceServerError(str(document["error"]))
    outputs: dict[str, Any] = {}
    for output in document.get("outputs", ()):
        row = dtypes.from_name(output["datatype"])
        shape = tuple(output["shape"])
        parameters = output.get("parameters") or {}
        size = parameters.get("binary_data_size")
        if size is not None:
            if not 0 <= size <= len(body) - end:
                raise ValueError(f"output {output['name']!r} is said to have {size} bytes, there are fewer")
            array = decode_data(body[end : end + size], row, shape)
            end += size
            # Views of the answer, but such as any library can use.
            aligned = array.flags.aligned and array.flags.writeable
            outputs[output["name"]] = array if aligned else array.copy()
        elif "data" not in output and row is not dtypes.BYTES:
            outputs[output["name"]] = ops.InRegion(row, shape)  # nothing else says so
        else:
            outputs[output["name"]] = decode_list(output["data"], row, shape)
    return outputs


def _true(_: HttpReply) -> bool:
    return True


def _nothing(_: HttpReply) -> None:
    return None


_ENCODERS: Final[dict[type[ops.Operation], Callable[[Any], HttpRequest]]] = {
    ops.Infer: _encode_infer,
    ops.Generate: _encode_generate,
    ops.ServerLive: _get("/v2/health/live"),
    ops.ServerReady: _get("/v2/health/ready"),
    ops.ServerMetadata: _get("/v2"),
    ops.ModelReady: _get_model("/ready"),
    ops.GetConfig: _get_model("/config"),
    ops.GetMetadata: _get_model(""),
    ops.GetStatistics: _get_statistics,
    ops.RepositoryIndex: lambda _: _post("/v2/repository/index", {}),
    ops.LoadModel: _encode_load,
    ops.UnloadModel: _encode_unload,
    ops.MemoryStatus: _get("/v2/systemsharedmemory/status"),
    ops.RegisterMemory: _encode_register,
    ops.UnregisterMemory: _encode_unregister,
}
_DECODERS: Final[dict[type[ops.Operation], Callable[[HttpReply], Any]]] = {
    ops.Infer: _decode_infer,
    ops.ServerLive: _true,
    ops.ServerReady: _true,
    ops.ServerMetadata: _decode_json,
    ops.ModelReady: _true,
    ops.GetConfig: _decode_json,
    ops.GetMetadata: _decode_json,
    ops.GetStatistics: lambda reply: list(_decode_json(reply)["model_stats"]),
    ops.RepositoryIndex: _decode_index,
    ops.LoadModel: _nothing,
    ops.UnloadModel: _nothing,
    ops.MemoryStatus: _decode_memory,
    ops.RegisterMemory: _nothing,
    ops.UnregisterMemory: _nothing,
}
