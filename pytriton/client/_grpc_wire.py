# SPDX-License-Identifier: Apache-2.0
"""The v2 protocol over gRPC, without any input or output: operations to messages, messages to results.

Tensors pass protobuf by: a message's fields may stand in any order and in pieces, so their bytes are put
behind the message that protobuf made, and found in the answer without being copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pytriton import dtypes
from pytriton.client import _operations as ops
from pytriton.client._grpc_messages import SERVICE, message
from pytriton.client._recycled import recycled_copy
from pytriton.client._tensors import Buffer, decode_data, decode_list
from pytriton.client._wire import InRegion
from pytriton.client.exceptions import PyTritonClientInferenceServerError, PyTritonClientProtocolError
from pytriton.exceptions import PyTritonValidationError

__all__ = ["decode", "encode", "method_of", "stream_decoder"]

_RAW_INPUT: Final = b"\x3a"  # field 7, length-delimited
_RAW_OUTPUT: Final = 6
_KINDS: Final = ("KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL")
_TIMEOUT_ACTIONS: Final = ("REJECT", "DELAY")
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


def stream_decoder(what: str) -> Callable[[bytes], dict[str, Any]]:
    """Reads one response of a stream: its outputs, or the exception that it amounts to."""

    def decode_response(data: bytes) -> dict[str, Any]:
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

    return decode_response


def _unreadable(what: str, error: Exception) -> PyTritonClientProtocolError:
    return PyTritonClientProtocolError(
        f"{what}: the answer cannot be read as the v2 protocol has it ({type(error).__name__}: {error})."
    )


def _encode_infer(operation: ops.Infer) -> bytes:
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
    fields = list(_fields(data))
    raw = [content for number, content, _ in fields if number == _RAW_OUTPUT]
    rest = [whole for number, _, whole in fields if number != _RAW_OUTPUT]
    response = message("ModelInferResponse").FromString(b"".join(rest))
    outputs: dict[str, Any] = {}
    contents = iter(raw)
    for output in response.outputs:
        outputs[output.name] = _decode_output(output, contents, bool(raw))
    return outputs


def _decode_output(output: Any, contents: Any, has_raw: bool) -> Any:
    row = dtypes.from_name(output.datatype)
    shape = tuple(output.shape)
    if has_raw:
        data = next(contents, None)
        if data is None:
            raise ValueError(f"output {output.name!r} has no content")
        # Nothing else says that an output is in shared memory.
        if not data and math.prod(shape) and row is not dtypes.BYTES:
            return InRegion(row, shape)
        # Bytes of gRPC cannot be written to, nor are they aligned.
        return decode_data(data if row is dtypes.BYTES else recycled_copy(data), row, shape)
    if row.name not in _CONTENTS:
        raise PyTritonValidationError(f"output {output.name!r} of datatype {row.name} has no raw content")
    return decode_list(list(getattr(output.contents, _CONTENTS[row.name])), row, shape)


def _metadata(response: Any) -> dict[str, Any]:
    return {
        "name": response.name,
        "versions": list(response.versions),
        "platform": response.platform,
        "inputs": [_tensor_metadata(tensor) for tensor in response.inputs],
        "outputs": [_tensor_metadata(tensor) for tensor in response.outputs],
    }


def _tensor_metadata(tensor: Any) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _config(response: Any) -> dict[str, Any]:
    config = response.config
    document: dict[str, Any] = {
        "name": config.name,
        "backend": config.backend,
        "max_batch_size": config.max_batch_size,
        "version_policy": {"specific": {"versions": list(config.version_policy.specific.versions)}},
        "input": _tensors(config.input),
        "output": _tensors(config.output),
        "instance_group": [
            {"kind": _choice(_KINDS, group.kind), "count": group.count} for group in config.instance_group
        ],
        "parameters": {
            name: {"string_value": value.string_value} for name, value in config.parameters.items()
        },
        "model_transaction_policy": {"decoupled": config.model_transaction_policy.decoupled},
    }
    if config.HasField("dynamic_batching"):
        document["dynamic_batching"] = _batching(config.dynamic_batching)
    if config.HasField("response_cache"):
        document["response_cache"] = {"enable": config.response_cache.enable}
    return document


def _tensors(tensors: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": tensor.name,
            "data_type": dtypes.from_number(tensor.data_type).config_name,
            "dims": list(tensor.dims),
            "optional": getattr(tensor, "optional", False),
            "reshape": {"shape": list(tensor.reshape.shape)} if tensor.HasField("reshape") else None,
        }
        for tensor in tensors
    ]


def _batching(batching: Any) -> dict[str, Any]:
    policies: Mapping[int, Any] = batching.priority_queue_policy
    document = {
        "preferred_batch_size": list(batching.preferred_batch_size),
        "max_queue_delay_microseconds": batching.max_queue_delay_microseconds,
        "preserve_ordering": batching.preserve_ordering,
        "priority_levels": batching.priority_levels,
        "default_priority_level": batching.default_priority_level,
        "priority_queue_policy": {level: _queue_policy(policy) for level, policy in policies.items()},
    }
    if batching.HasField("default_queue_policy"):
        document["default_queue_policy"] = _queue_policy(batching.default_queue_policy)
    return document


def _queue_policy(policy: Any) -> dict[str, Any]:
    return {
        "timeout_action": _choice(_TIMEOUT_ACTIONS, policy.timeout_action),
        "default_timeout_microseconds": policy.default_timeout_microseconds,
        "allow_timeout_override": policy.allow_timeout_override,
        "max_queue_size": policy.max_queue_size,
    }


def _choice(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else ""


def _statistics(response: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": model.name,
            "version": model.version,
            "last_inference": model.last_inference,
            "inference_count": model.inference_count,
            "execution_count": model.execution_count,
            "inference_stats": _durations(model.inference_stats),
            "batch_stats": [
                {"batch_size": each.batch_size, **_durations(each)} for each in model.batch_stats
            ],
        }
        for model in response.model_stats
    ]


def _durations(statistics: Any) -> dict[str, dict[str, int]]:
    return {
        field.name: {"count": value.count, "ns": value.ns}
        for field in statistics.DESCRIPTOR.fields
        if field.message_type is not None
        for value in (getattr(statistics, field.name),)
    }


def _index(response: Any) -> list[ops.ModelEntry]:
    return [ops.ModelEntry(entry.name, entry.version, entry.state, entry.reason) for entry in response.models]


_DECODERS: Final[dict[type[ops.Operation], Callable[[Any], Any]]] = {
    ops.ServerLive: lambda response: response.live,
    ops.ServerReady: lambda response: response.ready,
    ops.ServerMetadata: lambda response: {
        "name": response.name,
        "version": response.version,
        "extensions": list(response.extensions),
    },
    ops.ModelReady: lambda response: response.ready,
    ops.GetConfig: _config,
    ops.GetMetadata: _metadata,
    ops.GetStatistics: _statistics,
    ops.RepositoryIndex: _index,
    ops.MemoryStatus: lambda response: list(response.regions),
}
