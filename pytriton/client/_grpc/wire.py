# SPDX-License-Identifier: Apache-2.0
"""The v2 protocol over gRPC, without any input or output: operations to messages, messages to results.

Tensors pass protobuf by: a message's fields may stand in any order and in pieces, so their bytes are put
behind the message that protobuf made, and found in the answer without being copied.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pytriton import dtypes
from pytriton.client._core import operations as ops
from pytriton.client._core.recycled import recycled_copy
from pytriton.client._core.tensors import Buffer, decode_data, decode_list
from pytriton.client._grpc.config import config, index, metadata, statistics
from pytriton.client._grpc.messages import SERVICE, message
from pytriton.client.exceptions import PyTritonClientInferenceServerError, PyTritonClientProtocolError
from pytriton.exceptions import PyTritonValidationError

__all__ = ["decode", "decode_response", "encode", "method_of"]

_RAW_INPUT: Final = b"\x3a"  # field 7, length-delimited
_ID: Final = b"\x1a"  # field 3
_OUTPUT: Final = 5
_RAW_OUTPUT: Final = 6
_REMEMBERED: Final = 256
# The field of typed contents for each datatype; servers that are not Triton may answer so.
_CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_METHODS: Final[dict[type[ops.Operation], str]] = {
    ops.Infer: "ModelInfer",
    ops.ServerLive: "ServerLive",
    ops.ServerReady: "ServerReady",
    ops.ServerMetadata: "ServerMetadata",
    ops.ModelReady: "ModelReady",
    ops.GetConfig: "ModelConfig",
    ops.GetMetadata: "ModelMetadata",
    ops.GetStatistics: "ModelStatistics",
    ops.RepositoryIndex: "RepositoryIndex",
    ops.LoadModel: "RepositoryModelLoad",
    ops.UnloadModel: "RepositoryModelUnload",
    ops.MemoryStatus: "SystemSharedMemoryStatus",
    ops.RegisterMemory: "SystemSharedMemoryRegister",
    ops.UnregisterMemory: "SystemSharedMemoryUnregister",
}


def method_of(operation: ops.Operation, streaming: bool = False) -> str:
    """Full name of the method that does an operation."""
    return f"/{SERVICE}/{'ModelStreamInfer' if streaming else _METHODS[type(operation)]}"


def encode(operation: ops.Operation) -> bytes:
    """The serialised request message of an operation."""
    if isinstance(operation, ops.Infer):
        return _encode_infer(operation)
    request = message(f"{_METHODS[type(operation)]}Request")()
    if isinstance(operation, (ops.ModelReady, ops.GetConfig, ops.GetMetadata, ops.GetStatistics)):
        request.name, request.version = operation.model, operation.version
    elif isinstance(operation, ops.LoadModel):
        request.model_name = operation.model
        if operation.config is not None:
            request.parameters["config"].string_param = operation.config
        for path, content in operation.files.items():
            request.parameters[path].bytes_param = content
    elif isinstance(operation, ops.UnloadModel):
        request.model_name = operation.model
        request.parameters["unload_dependents"].bool_param = False
    elif isinstance(operation, ops.RegisterMemory):
        request.name, request.key, request.byte_size = operation.name, operation.key, operation.byte_size
    elif isinstance(operation, ops.UnregisterMemory):
        request.name = operation.name
    serialised: bytes = request.SerializeToString()
    return serialised


def decode(operation: ops.Operation, data: bytes, what: str) -> Any:
    """The result of an operation."""
    try:
        if isinstance(operation, ops.Infer):
            return _decode_infer(memoryview(data))
        response = message(f"{_METHODS[type(operation)]}Response").FromString(data)
        decoder = _DECODERS.get(type(operation))
        return None if decoder is None else decoder(response)
    except Exception as error:
        raise _unreadable(what, error) from error


def decode_response(data: bytes, what: str) -> dict[str, Any]:
    """The outputs of one response of a stream, or the exception that it amounts to."""
    try:
        error, response = "", memoryview(b"")
        for number, value, _ in _fields(memoryview(data)):
            if number == 1:
                error = bytes(value).decode("utf-8", "replace")
            elif number == 2:
                response = value
        outputs = _decode_infer(response)
    except Exception as cause:
        raise _unreadable(what, cause) from cause
    if error:
        raise PyTritonClientInferenceServerError(f"{what}: {error}")
    return outputs


def _unreadable(what: str, error: Exception) -> PyTritonClientProtocolError:
    return PyTritonClientProtocolError(
        f"{what}: the answer cannot be read as the v2 protocol has it ({type(error).__name__}: {error})."
    )


def _encode_infer(operation: ops.Infer) -> bytes:
    if operation.parameters or operation.reserved or operation.regions:
        return _encode_whole(operation)
    described = []
    pieces: list[Buffer] = [b""]
    if operation.request_id:
        name = operation.request_id.encode()
        pieces += (_ID, _varint(len(name)), name)
    for tensor in operation.inputs:
        if tensor.region is not None:
            return _encode_whole(operation)
        described.append((tensor.name, tensor.datatype, tensor.shape))
        pieces += (_RAW_INPUT, _varint(len(tensor.data)), tensor.data)
    pieces[0] = _head_of(operation.model, operation.version, tuple(described), tuple(operation.outputs))
    return b"".join(pieces)


@functools.lru_cache(_REMEMBERED)
def _head_of(
    model: str, version: str, inputs: Sequence[tuple[str, str, Any]], outputs: Sequence[str]
) -> bytes:
    """What many requests have in common."""
    request = message("ModelInferRequest")(model_name=model, model_version=version)
    for name, datatype, shape in inputs:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    for name in outputs:
        request.outputs.add(name=name)
    serialised: bytes = request.SerializeToString()
    return serialised


def _encode_whole(operation: ops.Infer) -> bytes:
    request = message("ModelInferRequest")(
        model_name=operation.model, model_version=operation.version, id=operation.request_id
    )
    pieces: list[Buffer] = []
    for tensor in operation.inputs:
        described = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if tensor.region is not None:
            _place(described.parameters, *tensor.region)
        else:
            pieces += (_RAW_INPUT, _varint(len(tensor.data)), tensor.data)
    for name in operation.outputs:
        output = request.outputs.add(name=name)
        place = operation.regions.get(name)
        if place is not None:
            _place(output.parameters, place.region, place.byte_size, place.offset)
    for name, value in operation.parameters.items():
        _set_parameter(request.parameters[name], value)
    for name, value in operation.reserved.items():
        # The server wants this one unsigned.
        if name == "priority":
            request.parameters[name].uint64_param = value
        else:
            _set_parameter(request.parameters[name], value)
    return b"".join([request.SerializeToString(), *pieces])


def _place(parameters: Any, region: str, size: int, offset: int) -> None:
    parameters["shared_memory_region"].string_param = region
    parameters["shared_memory_byte_size"].int64_param = size
    if offset:
        parameters["shared_memory_offset"].int64_param = offset


def _set_parameter(parameter: Any, value: ops.ParameterValue) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    else:
        parameter.string_param = value


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, content and whole of every field, all of which are length-delimited in our messages."""
    position = 0
    while position < len(data):
        start = position
        key, position = _read_varint(data, position)
        size, position = _read_varint(data, position)
        if key & 7 != 2 or position + size > len(data):
            raise ValueError(f"field {key >> 3} of wire type {key & 7} at byte {start} does not fit")
        yield key >> 3, data[position : position + size], data[start : position + size]
        position += size


def _decode_infer(data: memoryview) -> dict[str, Any]:
    raw, rest = [], []
    for number, content, whole in _fields(data):
        if number == _RAW_OUTPUT:
            raw.append(content)
        elif number == _OUTPUT:
            rest.append(whole)
    described = b"".join(rest)
    if not raw:
        response = message("ModelInferResponse").FromString(described)
        return {output.name: _decode_contents(output) for output in response.outputs}
    outputs = _outputs_of(described)
    if len(outputs) > len(raw):
        raise ValueError(f"output {outputs[len(raw)][0]!r} has no content")
    return {
        name: _decode_raw(data, row, shape) for (name, row, shape), data in zip(outputs, raw, strict=False)
    }


@functools.lru_cache(_REMEMBERED)
def _outputs_of(described: bytes) -> list[tuple[str, dtypes.DataType, tuple[int, ...]]]:
    """Name, datatype and shape of outputs; many responses have the same."""
    outputs = message("ModelInferResponse").FromString(described).outputs
    return [(output.name, dtypes.from_name(output.datatype), tuple(output.shape)) for output in outputs]


def _decode_raw(data: memoryview, row: dtypes.DataType, shape: tuple[int, ...]) -> Any:
    # Nothing else says that an output is in shared memory.
    if not data and 0 not in shape and row is not dtypes.BYTES:
        return ops.InRegion(row, shape)
    # Bytes of gRPC cannot be written to, nor are they aligned.
    return decode_data(data if row is dtypes.BYTES else recycled_copy(data), row, shape)


def _decode_contents(output: Any) -> Any:
    row, shape = dtypes.from_name(output.datatype), tuple(output.shape)
    if row.name not in _CONTENTS:
        raise PyTritonValidationError(f"output {output.name!r} of datatype {row.name} has no raw content")
    return decode_list(list(getattr(output.contents, _CONTENTS[row.name])), row, shape)


_DECODERS: Final[dict[type[ops.Operation], Callable[[Any], Any]]] = {
    ops.ServerLive: lambda response: response.live,
    ops.ServerReady: lambda response: response.ready,
    ops.ServerMetadata: lambda response: {
        "name": response.name,
        "version": response.version,
        "extensions": list(response.extensions),
    },
    ops.ModelReady: lambda response: response.ready,
    ops.GetConfig: config,
    ops.GetMetadata: metadata,
    ops.GetStatistics: statistics,
    ops.RepositoryIndex: index,
    ops.MemoryStatus: lambda response: list(response.regions),
}
