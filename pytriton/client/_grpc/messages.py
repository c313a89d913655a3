# SPDX-License-Identifier: Apache-2.0
"""The v2 protocol's gRPC messages, made at first use by whatever protobuf is installed.

Generated modules tie their user to the protobuf that generated them; descriptors made here work with all.
Only what the clients use is declared: protobuf passes over fields that it does not know.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["SCHEMA", "SERVICE", "message"]

SERVICE: Final = "inference.GRPCInferenceService"

# Each field: number, type, name. "*T" is repeated, "{T}" a map of strings to T, "?T" one of a choice.
SCHEMA: Final[dict[str, str]] = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "1 bool live",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "1 bool ready",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "1 string name, 2 string version, 3 *string extensions",
    "ModelReadyRequest": "1 string name, 2 string version",
    "ModelReadyResponse": "1 bool ready",
    "ModelMetadataRequest": "1 string name, 2 string version",
    "ModelMetadataResponse.TensorMetadata": "1 string name, 2 string datatype, 3 *int64 shape",
    "ModelMetadataResponse": (
        "1 string name, 2 *string versions, 3 string platform, "
        "4 *ModelMetadataResponse.TensorMetadata inputs, 5 *ModelMetadataResponse.TensorMetadata outputs"
    ),
    "ModelConfigRequest": "1 string name, 2 string version",
    "ModelConfigResponse": "1 ModelConfig config",
    "ModelStatisticsRequest": "1 string name, 2 string version",
    "StatisticDuration": "1 uint64 count, 2 uint64 ns",
    "InferStatistics": (
        "1 StatisticDuration success, 2 StatisticDuration fail, 3 StatisticDuration queue, "
        "4 StatisticDuration compute_input, 5 StatisticDuration compute_infer, "
        "6 StatisticDuration compute_output, 7 StatisticDuration cache_hit, 8 StatisticDuration cache_miss"
    ),
    "InferBatchStatistics": (
        "1 uint64 batch_size, 2 StatisticDuration compute_input, 3 StatisticDuration compute_infer, "
        "4 StatisticDuration compute_output"
    ),
    "ModelStatistics": (
        "1 string name, 2 string version, 3 uint64 last_inference, 4 uint64 inference_count, "
        "5 uint64 execution_count, 6 InferStatistics inference_stats, 7 *InferBatchStatistics batch_stats"
    ),
    "ModelStatisticsResponse": "1 *ModelStatistics model_stats",
    "RepositoryIndexRequest": "1 string repository_name, 2 bool ready",
    "RepositoryIndexResponse.ModelIndex": "1 string name, 2 string version, 3 string state, 4 string reason",
    "RepositoryIndexResponse": "1 *RepositoryIndexResponse.ModelIndex models",
    "ModelRepositoryParameter": (
        "1 ?bool bool_param, 2 ?int64 int64_param, 3 ?string string_param, 4 ?bytes bytes_param"
    ),
    "RepositoryModelLoadRequest": (
        "1 string repository_name, 2 string model_name, 3 {ModelRepositoryParameter} parameters"
    ),
    "RepositoryModelLoadResponse": "",
    "RepositoryModelUnloadRequest": (
        "1 string repository_name, 2 string model_name, 3 {ModelRepositoryParameter} parameters"
    ),
    "RepositoryModelUnloadResponse": "",
    "SystemSharedMemoryRegisterRequest": "1 string name, 2 string key, 3 uint64 offset, 4 uint64 byte_size",
    "SystemSharedMemoryRegisterResponse": "",
    "SystemSharedMemoryUnregisterRequest": "1 string name",
    "SystemSharedMemoryUnregisterResponse": "",
    "SystemSharedMemoryStatusRequest": "1 string name",
    "SystemSharedMemoryStatusResponse.RegionStatus": (
        "1 string name, 2 string key, 3 uint64 offset, 4 uint64 byte_size"
    ),
    "SystemSharedMemoryStatusResponse": "1 {SystemSharedMemoryStatusResponse.RegionStatus} regions",
    "InferParameter": (
        "1 ?bool bool_param, 2 ?int64 int64_param, 3 ?string string_param, "
        "4 ?double double_param, 5 ?uint64 uint64_param"
    ),
    "InferTensorContents": (
        "1 *bool bool_contents, 2 *int32 int_contents, 3 *int64 int64_contents, 4 *uint32 uint_contents, "
        "5 *uint64 uint64_contents, 6 *float fp32_contents, 7 *double fp64_contents, 8 *bytes bytes_contents"
    ),
    "ModelInferRequest.InferInputTensor": (
        "1 string name, 2 string datatype, 3 *int64 shape, 4 {InferParameter} parameters, "
        "5 InferTensorContents contents"
    ),
    "ModelInferRequest.InferRequestedOutputTensor": "1 string name, 2 {InferParameter} parameters",
    "ModelInferRequest": (
        "1 string model_name, 2 string model_version, 3 string id, 4 {InferParameter} parameters, "
        "5 *ModelInferRequest.InferInputTensor inputs, "
        "6 *ModelInferRequest.InferRequestedOutputTensor outputs, 7 *bytes raw_input_contents"
    ),
    "ModelInferResponse.InferOutputTensor": (
        "1 string name, 2 string datatype, 3 *int64 shape, 4 {InferParameter} parameters, "
        "5 InferTensorContents contents"
    ),
    "ModelInferResponse": (
        "1 string model_name, 2 string model_version, 3 string id, 4 {InferParameter} parameters, "
        "5 *ModelInferResponse.InferOutputTensor outputs, 6 *bytes raw_output_contents"
    ),
    "ModelStreamInferResponse": "1 string error_message, 2 ModelInferResponse infer_response",
    # Parts of the model configuration; enumerations travel as integers.
    "ModelConfig": (
        "1 string name, 3 ModelVersionPolicy version_policy, 4 int32 max_batch_size, 5 *ModelInput input, "
        "6 *ModelOutput output, 7 *ModelInstanceGroup instance_group, "
        "11 ModelDynamicBatching dynamic_batching, 14 {ModelParameter} parameters, 17 string backend, "
        "19 ModelTransactionPolicy model_transaction_policy, 24 ModelResponseCache response_cache"
    ),
    "ModelVersionPolicy.Specific": "1 *int64 versions",
    "ModelVersionPolicy": "3 ModelVersionPolicy.Specific specific",
    "ModelTensorReshape": "1 *int64 shape",
    "ModelInput": (
        "1 string name, 2 int32 data_type, 4 *int64 dims, 5 ModelTensorReshape reshape, 8 bool optional"
    ),
    "ModelOutput": "1 string name, 2 int32 data_type, 3 *int64 dims, 5 ModelTensorReshape reshape",
    "ModelInstanceGroup": "2 int32 count, 4 int32 kind",
    "ModelQueuePolicy": (
        "1 int32 timeout_action, 2 uint64 default_timeout_microseconds, 3 bool allow_timeout_override, "
        "4 uint32 max_queue_size"
    ),
    "ModelDynamicBatching": (
        "1 *int32 preferred_batch_size, 2 uint64 max_queue_delay_microseconds, 3 bool preserve_ordering, "
        "4 uint64 priority_levels, 5 uint64 default_priority_level, 6 ModelQueuePolicy default_queue_policy, "
        "7 {uint64 ModelQueuePolicy} priority_queue_policy"
    ),
    "ModelParameter": "1 string string_value",
    "ModelTransactionPolicy": "1 bool decoupled",
    "ModelResponseCache": "1 bool enable",
}
_PACKAGE: Final = "inference"


def message(name: str) -> Any:
    """The class of a message."""
    return _classes()[name]


@functools.cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="pytriton/inference.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in SCHEMA.items():
        _declare(_descriptor(file, name), name, fields)
    pool = descriptor_pool.DescriptorPool()  # of our own: programs may have loaded the generated messages
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in SCHEMA
    }


def _descriptor(file: Any, name: str) -> Any:
    outer, _, inner = name.partition(".")
    found = next((known for known in file.message_type if known.name == outer), None)
    if found is None:
        found = file.message_type.add(name=outer)
    return found.nested_type.add(name=inner) if inner else found


def _declare(descriptor: Any, name: str, fields: str) -> None:
    for field in filter(None, fields.split(", ")):
        number, rest = field.split(" ", 1)
        kind, field_name = rest.rsplit(" ", 1)
        added = descriptor.field.add(name=field_name, number=int(number), label=1)
        if kind.startswith("{"):
            entry = "".join(part.title() for part in field_name.split("_")) + "Entry"
            key, value = ("string " + kind[1:-1]).split(" ")[-2:]
            nested = descriptor.nested_type.add(name=entry)
            nested.options.map_entry = True
            _set_type(nested.field.add(name="key", number=1, label=1), key)
            _set_type(nested.field.add(name="value", number=2, label=1), value)
            kind = f"*{name}.{entry}"
        if kind.startswith("?"):
            if not descriptor.oneof_decl:
                descriptor.oneof_decl.add(name="parameter_choice")
            added.oneof_index = 0
        if kind.startswith("*"):
            added.label = 3
        _set_type(added, kind.lstrip("*?"))


def _set_type(field: Any, kind: str) -> None:
    number = _SCALARS.get(kind)
    if number is not None:
        field.type = number
    else:
        field.type, field.type_name = 11, f".{_PACKAGE}.{kind}"


# FieldDescriptorProto.Type
_SCALARS: Final = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
