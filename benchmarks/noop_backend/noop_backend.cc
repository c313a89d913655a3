// SPDX-License-Identifier: Apache-2.0
//
// The limit that no Python serving on Triton can pass: a backend that copies every input buffer straight into
// the response and reports the same statistics as a real one. Input "INPUT_x" comes back as "OUTPUT_x".

#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "pytriton/triton_abi.h"

namespace {

constexpr std::string_view kInputPrefix = "INPUT";

uint64_t Now() {
  // Triton's own statistics use this clock.
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void Ignore(TRITONSERVER_Error* error) {
  if (error != nullptr) TRITONSERVER_ErrorDelete(error);
}

std::string OutputName(std::string_view input_name) {
  if (input_name.starts_with(kInputPrefix)) input_name.remove_prefix(kInputPrefix.size());
  return "OUTPUT" + std::string(input_name);
}

TRITONSERVER_Error* CopyBuffers(TRITONBACKEND_Input* input, uint32_t buffer_count, char* destination) {
  for (uint32_t index = 0; index < buffer_count; ++index) {
    const void* buffer = nullptr;
    uint64_t byte_size = 0;
    TRITONSERVER_MemoryType memory_type = TRITONSERVER_MEMORY_CPU;
    int64_t memory_type_id = 0;
    if (auto* error =
            TRITONBACKEND_InputBuffer(input, index, &buffer, &byte_size, &memory_type, &memory_type_id)) {
      return error;
    }
    std::memcpy(destination, buffer, byte_size);
    destination += byte_size;
  }
  return nullptr;
}

TRITONSERVER_Error* CopyInput(TRITONBACKEND_Input* input, TRITONBACKEND_Response* response, int64_t* rows) {
  const char* name = nullptr;
  TRITONSERVER_DataType datatype = TRITONSERVER_TYPE_INVALID;
  const int64_t* shape = nullptr;
  uint32_t dims_count = 0;
  uint64_t byte_size = 0;
  uint32_t buffer_count = 0;
  if (auto* error = TRITONBACKEND_InputProperties(input, &name, &datatype, &shape, &dims_count, &byte_size,
                                                  &buffer_count)) {
    return error;
  }
  *rows = dims_count > 0 ? shape[0] : 1;
  TRITONBACKEND_Output* output = nullptr;
  const std::string output_name = OutputName(name);
  if (auto* error =
          TRITONBACKEND_ResponseOutput(response, &output, output_name.c_str(), datatype, shape, dims_count)) {
    return error;
  }
  void* destination = nullptr;
  TRITONSERVER_MemoryType memory_type = TRITONSERVER_MEMORY_CPU;
  int64_t memory_type_id = 0;
  if (auto* error =
          TRITONBACKEND_OutputBuffer(output, &destination, byte_size, &memory_type, &memory_type_id)) {
    return error;
  }
  return CopyBuffers(input, buffer_count, static_cast<char*>(destination));
}

TRITONSERVER_Error* CopyInputs(TRITONBACKEND_Request* request, TRITONBACKEND_Response* response,
                               int64_t* rows) {
  uint32_t input_count = 0;
  if (auto* error = TRITONBACKEND_RequestInputCount(request, &input_count)) return error;
  for (uint32_t index = 0; index < input_count; ++index) {
    TRITONBACKEND_Input* input = nullptr;
    if (auto* error = TRITONBACKEND_RequestInputByIndex(request, index, &input)) return error;
    if (auto* error = CopyInput(input, response, rows)) return error;
  }
  return nullptr;
}

int64_t Answer(TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Request* request, uint64_t started) {
  int64_t rows = 1;
  TRITONBACKEND_Response* response = nullptr;
  TRITONSERVER_Error* error = TRITONBACKEND_ResponseNew(&response, request);
  const bool answerable = error == nullptr;
  if (answerable) error = CopyInputs(request, response, &rows);
  const bool success = error == nullptr;
  const uint64_t now = Now();
  if (answerable) Ignore(TRITONBACKEND_ResponseSend(response, TRITONSERVER_RESPONSE_COMPLETE_FINAL, error));
  Ignore(error);
  Ignore(TRITONBACKEND_ModelInstanceReportStatistics(instance, request, success, started, started, now, now));
  Ignore(TRITONBACKEND_RequestRelease(request, TRITONSERVER_REQUEST_RELEASE_ALL));
  return rows;
}

}  // namespace

TRITONSERVER_Error* TRITONBACKEND_Initialize(TRITONBACKEND_Backend* backend) {
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_Finalize(TRITONBACKEND_Backend* backend) {
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model* model) {
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ModelFinalize(TRITONBACKEND_Model* model) {
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance* instance) {
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance* instance) {
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceExecute(TRITONBACKEND_ModelInstance* instance,
                                                       TRITONBACKEND_Request** requests,
                                                       uint32_t request_count) {
  const uint64_t started = Now();
  int64_t rows = 0;
  for (TRITONBACKEND_Request* request : std::span(requests, request_count))
    rows += Answer(instance, request, started);
  const uint64_t ended = Now();
  Ignore(TRITONBACKEND_ModelInstanceReportBatchStatistics(instance, static_cast<uint64_t>(rows), started,
                                                          started, ended, ended));
  return nullptr;
}
