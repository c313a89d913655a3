# SPDX-License-Identifier: Apache-2.0
"""Our gRPC messages and HTTP bodies against those of NVIDIA's client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.grpc._utils import _get_inference_request
from tritonclient.utils import np_to_triton_dtype

from pytriton import dtypes
from pytriton.client._core import operations as ops
from pytriton.client._core.tensors import TensorData, encode_array
from pytriton.client._grpc import wire as grpc_wire
from pytriton.client._grpc.messages import SCHEMA, message
from pytriton.client._http import wire as http_wire
from pytriton.client.exceptions import PyTritonClientInferenceServerError

_ENUM, _INT32 = 14, 5
ARRAYS = [
    {"x": np.arange(6, dtype=np.float32).reshape(2, 3)},
    {"x": np.arange(1000, dtype=np.int64), "y": np.array([[True, False]])},
    {"text": np.array([[b"a", b"", b"\xff\0"]], object)},
    {"half": np.zeros((0, 4), np.float16), "z": np.ones((1, 1, 1), np.uint8)},
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"request_id": "r-1", "model_version": "3"},
    {"priority": 2, "timeout": 1000},
    {"sequence_id": 7, "sequence_start": True, "sequence_end": False},
    {"sequence_id": "seven", "sequence_start": False, "sequence_end": True},
    {"parameters": {"text": "ż", "number": -(2**40), "yes": True}},
]


def theirs_of(name: str) -> Any:
    outer, _, inner = name.partition(".")
    found = service_pb2.DESCRIPTOR.message_types_by_name.get(outer)
    if found is None:
        found = model_config_pb2.DESCRIPTOR.message_types_by_name[outer]
    return found.nested_types_by_name[inner] if inner else found


@pytest.mark.parametrize("name", SCHEMA)
def test_fields_are_those_of_the_protocol(name: str) -> None:
    ours, theirs = message(name).DESCRIPTOR, theirs_of(name)
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        expected = _INT32 if other.type == _ENUM else other.type
        assert (field.number, field.type) == (other.number, expected)
        assert isinstance(getattr(message(name)(), field.name), type(None)) is False
    empty = message(name)()
    for field in ours.fields:
        assert hasattr(getattr(empty, field.name), "__len__") == hasattr(
            getattr(theirs._concrete_class(), field.name), "__len__"
        )


def infer(arrays: dict[str, Any], options: dict[str, Any], outputs: tuple[str, ...] = ()) -> ops.Infer:
    tensors = []
    for name, array in arrays.items():
        datatype = dtypes.resolve(array.dtype)
        tensors.append(TensorData(name, datatype.name, array.shape, encode_array(array, datatype, name)))
    names = ("priority", "timeout", "sequence_id", "sequence_start", "sequence_end")
    return ops.Infer(
        "m",
        options.get("model_version", ""),
        options.get("request_id", ""),
        tensors,
        outputs,
        options.get("parameters", {}),
        {name: options[name] for name in names if name in options},
    )


def inputs_of(library: Any, arrays: dict[str, Any]) -> Iterator[Any]:
    for name, array in arrays.items():
        tensor = library.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        yield tensor


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("arrays", ARRAYS)
@pytest.mark.parametrize("outputs", [(), ("first", "second")])
def test_grpc_requests_say_the_same(
    arrays: dict[str, Any], options: dict[str, Any], outputs: tuple[str, ...]
) -> None:
    defaults = {
        "model_version": "",
        "request_id": "",
        "sequence_id": 0,
        "sequence_start": False,
        "sequence_end": False,
        "priority": 0,
        "timeout": None,
        "parameters": None,
    }
    wanted = [tritonclient.grpc.InferRequestedOutput(name) for name in outputs]
    theirs = _get_inference_request(
        model_name="m",
        inputs=list(inputs_of(tritonclient.grpc, arrays)),
        outputs=wanted,
        **defaults | options,
    )
    ours = service_pb2.ModelInferRequest.FromString(grpc_wire.encode(infer(arrays, options, outputs)))
    assert ours == theirs


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("arrays", ARRAYS)
@pytest.mark.parametrize("outputs", [(), ("first", "second")])
def test_http_requests_say_the_same(
    arrays: dict[str, Any], options: dict[str, Any], outputs: tuple[str, ...]
) -> None:
    given = {name: value for name, value in options.items() if name != "model_version"}
    wanted = [tritonclient.http.InferRequestedOutput(name, binary_data=True) for name in outputs]
    body, length = tritonclient.http.InferenceServerClient.generate_request_body(
        list(inputs_of(tritonclient.http, arrays)), outputs=wanted, **given
    )
    request = http_wire.encode(infer(arrays, options, outputs))
    whole, head = b"".join(request.body), int(request.headers[http_wire.HEADER_LENGTH])
    assert json.loads(whole[:head]) == json.loads(body[:length])
    assert whole[head:] == bytes(body[length or len(body) :])
    version = options.get("model_version")
    assert request.path == (f"/v2/models/m/versions/{version}/infer" if version else "/v2/models/m/infer")


def response(arrays: dict[str, Any], *, raw: bool) -> Any:
    answer = service_pb2.ModelInferResponse(model_name="m", model_version="1", id="7")
    answer.parameters["p"].string_param = "v"
    for name, array in arrays.items():
        datatype = dtypes.resolve(array.dtype)
        output = answer.outputs.add(name=name, datatype=datatype.name, shape=array.shape)
        if raw:
            answer.raw_output_contents.append(bytes(encode_array(array, datatype, name)))
        else:
            field = {"FP32": "fp32_contents", "INT64": "int64_contents", "BOOL": "bool_contents"}.get(
                datatype.name, "bytes_contents" if datatype is dtypes.BYTES else "uint_contents"
            )
            getattr(output.contents, field).extend(array.ravel().tolist())
    return answer


@pytest.mark.parametrize("arrays", ARRAYS)
def test_grpc_responses_are_read(arrays: dict[str, Any]) -> None:
    data = response(arrays, raw=True).SerializeToString()
    for name, array in grpc_wire.decode(infer({}, {}), data, "here").items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.flags.writeable
    part = service_pb2.ModelStreamInferResponse(infer_response=response(arrays, raw=True))
    assert list(grpc_wire.decode_response(part.SerializeToString(), "here")) == list(arrays)
    part.error_message = "no"
    with pytest.raises(PyTritonClientInferenceServerError, match="here: no"):
        grpc_wire.decode_response(part.SerializeToString(), "here")


@pytest.mark.parametrize("arrays", ARRAYS[:3])
def test_typed_contents_are_read(arrays: dict[str, Any]) -> None:
    data = response(arrays, raw=False).SerializeToString()
    for name, array in grpc_wire.decode(infer({}, {}), data, "here").items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype


@pytest.mark.parametrize("arrays", ARRAYS)
def test_http_responses_are_read_as_tritonclient_reads_them(arrays: dict[str, Any]) -> None:
    outputs, tail = [], b""
    for name, array in arrays.items():
        datatype = dtypes.resolve(array.dtype)
        data = bytes(encode_array(array, datatype, name))
        size = {"binary_data_size": len(data)}
        outputs.append({"name": name, "datatype": datatype.name, "shape": array.shape, "parameters": size})
        tail += data
    head = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    reply = http_wire.HttpReply(200, {http_wire.HEADER_LENGTH: str(len(head))}, bytearray(head + tail))
    ours = http_wire.decode(infer({}, {}), reply, "here")
    theirs = tritonclient.http.InferenceServerClient.parse_response_body(head + tail, header_length=len(head))
    assert list(ours) == list(arrays)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs.as_numpy(name))
        assert array.flags.aligned
        assert array.flags.writeable
