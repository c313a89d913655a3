// SPDX-License-Identifier: Apache-2.0
#include "fake_triton.h"

#include <chrono>

namespace pytriton::testing {

bool Outcome::Released() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [this] { return releases > 0; });
}

bool Outcome::released_now() {
  const std::unique_lock lock(mutex_);
  return releases > 0;
}

void Host::Log(std::string line) {
  const std::unique_lock lock(mutex_);
  log_.push_back(std::move(line));
}

std::vector<std::string> Host::TakeLog() {
  const std::unique_lock lock(mutex_);
  return std::exchange(log_, {});
}

Host& TheHost() {
  static Host host;
  return host;
}

}  // namespace pytriton::testing

using pytriton::testing::Bytes;
using pytriton::testing::Outcome;
using pytriton::testing::OutcomeAccess;
using pytriton::testing::ParameterValue;
using pytriton::testing::TheHost;

namespace {

TRITONSERVER_Error* Refuse(TRITONSERVER_Error_Code code, const char* message) {
  return TRITONSERVER_ErrorNew(code, message);
}

}  // namespace

extern "C" {

TRITONSERVER_Error* TRITONSERVER_ErrorNew(TRITONSERVER_Error_Code code, const char* message) {
  ++TheHost().live_errors;
  return new TRITONSERVER_Error{code, message};
}

void TRITONSERVER_ErrorDelete(TRITONSERVER_Error* error) {
  --TheHost().live_errors;
  delete error;
}

TRITONSERVER_Error_Code TRITONSERVER_ErrorCode(TRITONSERVER_Error* error) {
  return error->code;
}

const char* TRITONSERVER_ErrorMessage(TRITONSERVER_Error* error) {
  return error->message.c_str();
}

TRITONSERVER_Error* TRITONSERVER_LogMessage(TRITONSERVER_LogLevel, const char*, int, const char* message) {
  TheHost().Log(message);
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_ServerLoadModel(TRITONSERVER_Server* server, const char* model_name) {
  return server->load(model_name);
}

TRITONSERVER_Error* TRITONSERVER_ServerUnloadModel(TRITONSERVER_Server* server, const char* model_name) {
  return server->unload(model_name);
}

TRITONSERVER_Error* TRITONBACKEND_ApiVersion(uint32_t* major, uint32_t* minor) {
  *major = TheHost().api_major;
  *minor = TheHost().api_minor;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_BackendState(TRITONBACKEND_Backend* backend, void** state) {
  *state = backend->state;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_BackendSetState(TRITONBACKEND_Backend* backend, void* state) {
  backend->state = state;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelName(TRITONBACKEND_Model* model, const char** name) {
  *name = model->name.c_str();
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelVersion(TRITONBACKEND_Model* model, uint64_t* version) {
  *version = model->version;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelRepository(TRITONBACKEND_Model* model,
                                                  TRITONBACKEND_ArtifactType* type, const char** location) {
  *type = TRITONBACKEND_ARTIFACT_FILESYSTEM;
  *location = model->directory.c_str();
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelServer(TRITONBACKEND_Model* model, TRITONSERVER_Server** server) {
  *server = model->server;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelBackend(TRITONBACKEND_Model* model, TRITONBACKEND_Backend** backend) {
  *backend = model->backend;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelState(TRITONBACKEND_Model* model, void** state) {
  *state = model->state;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelSetState(TRITONBACKEND_Model* model, void* state) {
  model->state = state;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceModel(TRITONBACKEND_ModelInstance* instance,
                                                     TRITONBACKEND_Model** model) {
  *model = instance->model;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceState(TRITONBACKEND_ModelInstance* instance, void** state) {
  *state = instance->state;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceSetState(TRITONBACKEND_ModelInstance* instance, void* state) {
  instance->state = state;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceReportStatistics(
    TRITONBACKEND_ModelInstance*, TRITONBACKEND_Request* request, bool success, uint64_t exec_start_ns,
    uint64_t compute_start_ns, uint64_t compute_end_ns, uint64_t exec_end_ns) {
  OutcomeAccess::Apply(*request->outcome, [&](Outcome& outcome) {
    outcome.statistics.push_back({success, {exec_start_ns, compute_start_ns, compute_end_ns, exec_end_ns}});
  });
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceReportBatchStatistics(
    TRITONBACKEND_ModelInstance* instance, uint64_t batch_size, uint64_t exec_start_ns,
    uint64_t compute_start_ns, uint64_t compute_end_ns, uint64_t exec_end_ns) {
  const std::unique_lock lock(instance->mutex);
  instance->batches.push_back({batch_size, {exec_start_ns, compute_start_ns, compute_end_ns, exec_end_ns}});
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestId(TRITONBACKEND_Request* request, const char** id) {
  *id = request->id.c_str();
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestIsCancelled(TRITONBACKEND_Request* request, bool* is_cancelled) {
  *is_cancelled = request->cancelled;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestCorrelationId(TRITONBACKEND_Request*, uint64_t* id) {
  *id = 0;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_InferenceRequestTimeoutMicroseconds(TRITONBACKEND_Request* request,
                                                                      uint64_t* timeout_us) {
  *timeout_us = request->timeout_us;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestParameterCount(TRITONBACKEND_Request* request, uint32_t* count) {
  *count = static_cast<uint32_t>(request->parameters.size());
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestParameter(TRITONBACKEND_Request* request, uint32_t index,
                                                   const char** key, TRITONSERVER_ParameterType* type,
                                                   const void** value) {
  const auto& [name, held] = request->parameters.at(index);
  *key = name.c_str();
  *type = static_cast<TRITONSERVER_ParameterType>(held.index());
  if (const auto* text = std::get_if<std::string>(&held)) {
    *value = text->c_str();
  } else if (const auto* bytes = std::get_if<Bytes>(&held)) {
    *value = bytes->data();
  } else {
    std::visit([&](const auto& plain) { *value = &plain; }, held);
  }
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestTrace(TRITONBACKEND_Request* request,
                                               TRITONSERVER_InferenceTrace** trace) {
  if (request->trace.refused) {
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_UNSUPPORTED, "tracing is not supported");
  }
  *trace = request->trace.context.has_value() ? &request->trace : nullptr;
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_InferenceTraceContext(TRITONSERVER_InferenceTrace* trace,
                                                       const char** context) {
  *context = trace->context->c_str();
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestInputCount(TRITONBACKEND_Request* request, uint32_t* count) {
  *count = static_cast<uint32_t>(request->inputs.size());
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestInputByIndex(TRITONBACKEND_Request* request, uint32_t index,
                                                      TRITONBACKEND_Input** input) {
  *input = &request->inputs.at(index);
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestOutputCount(TRITONBACKEND_Request* request, uint32_t* count) {
  *count = static_cast<uint32_t>(request->outputs.size());
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_RequestOutputName(TRITONBACKEND_Request* request, uint32_t index,
                                                    const char** name) {
  *name = request->outputs.at(index).c_str();
  return nullptr;
}

// Everything of the request ends here: who touches it later is caught by the sanitizer.
TRITONSERVER_Error* TRITONBACKEND_RequestRelease(TRITONBACKEND_Request* request, uint32_t) {
  const std::shared_ptr<Outcome> outcome = request->outcome;
  delete request;
  OutcomeAccess::Apply(*outcome, [](Outcome& of) { ++of.releases; });
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_InputProperties(TRITONBACKEND_Input* input, const char** name,
                                                  TRITONSERVER_DataType* datatype, const int64_t** shape,
                                                  uint32_t* dims_count, uint64_t* byte_size,
                                                  uint32_t* buffer_count) {
  *name = input->name.c_str();
  *datatype = input->datatype;
  *shape = input->shape.data();
  *dims_count = static_cast<uint32_t>(input->shape.size());
  *byte_size = 0;
  for (const Bytes& buffer : input->buffers) {
    *byte_size += buffer.size();
  }
  *buffer_count = static_cast<uint32_t>(input->buffers.size());
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_InputBuffer(TRITONBACKEND_Input* input, uint32_t index, const void** buffer,
                                              uint64_t* byte_size, TRITONSERVER_MemoryType* memory_type,
                                              int64_t* memory_type_id) {
  if (index >= input->buffers.size()) {
    return Refuse(TRITONSERVER_ERROR_INVALID_ARG, "no such buffer");
  }
  *buffer = input->buffers[index].data();
  *byte_size = input->buffers[index].size();
  *memory_type = input->memory;
  *memory_type_id = 0;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ResponseNew(TRITONBACKEND_Response** response,
                                              TRITONBACKEND_Request* request) {
  if (request->refused_responses > 0) {
    --request->refused_responses;
    return Refuse(TRITONSERVER_ERROR_INTERNAL, "no response for you");
  }
  ++TheHost().live_responses;
  *response = new TRITONBACKEND_Response{request, {}, {}};
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ResponseDelete(TRITONBACKEND_Response* response) {
  --TheHost().live_responses;
  delete response;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ResponseOutput(TRITONBACKEND_Response* response,
                                                 TRITONBACKEND_Output** output, const char* name,
                                                 TRITONSERVER_DataType datatype, const int64_t* shape,
                                                 uint32_t dims_count) {
  response->outputs.push_back(std::make_unique<TRITONBACKEND_Output>(
      TRITONBACKEND_Output{response->request, name, {datatype, {shape, shape + dims_count}, {}}}));
  *output = response->outputs.back().get();
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_OutputBuffer(TRITONBACKEND_Output* output, void** buffer,
                                               uint64_t byte_size, TRITONSERVER_MemoryType* memory_type,
                                               int64_t* memory_type_id) {
  *buffer = nullptr;
  if (output->request->refused_output == output->name) {
    return Refuse(TRITONSERVER_ERROR_UNAVAILABLE, "no memory for this output");
  }
  output->tensor.data.resize(byte_size, std::byte{0xee});
  *buffer = output->tensor.data.data();
  *memory_type = output->request->output_memory;
  *memory_type_id = 0;
  return nullptr;
}

TRITONSERVER_Error* TRITONBACKEND_ResponseSend(TRITONBACKEND_Response* response, uint32_t flags,
                                               TRITONSERVER_Error* error) {
  const std::unique_ptr<TRITONBACKEND_Response> owned(response);
  --TheHost().live_responses;
  OutcomeAccess::Apply(*response->request->outcome, [&](Outcome& outcome) {
    ++outcome.responses;
    outcome.finals += static_cast<int>(flags & TRITONSERVER_RESPONSE_COMPLETE_FINAL);
    if (error != nullptr) {
      outcome.error = error->code;
      outcome.message = error->message;
    }
    for (const std::unique_ptr<TRITONBACKEND_Output>& output : response->outputs) {
      outcome.outputs[output->name] = std::move(output->tensor);
    }
    if (error == nullptr) {
      outcome.sent.push_back({outcome.outputs, response->parameters, flags != 0});
    }
  });
  return nullptr;
}

}  // extern "C"
