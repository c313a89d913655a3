// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the server, in front of its own functions that make and delete requests: a model that has as
// many as it may have gets no further one. The other side is backend/request_gate.cc.
#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>

#include "preload/ending.h"
#include "preload/grpc_hook.h"
#include "preload/hook.h"

namespace {

using Enter = bool (*)(const void* request, const char* model);
using Leave = void (*)(const void* request);
using RequestNew = void* (*)(void** request, void* server, const char* model, int64_t version);
using RequestDelete = void* (*)(void* request);
using ErrorNew = void* (*)(int code, const char* message);

constexpr int kUnavailable = 4;  // TRITONSERVER_ERROR_UNAVAILABLE

uint64_t limit = 0;
Leave leave = nullptr;
std::atomic<Enter> enter{nullptr};  // set last

constinit pytriton::Real<RequestNew> request_new("TRITONSERVER_InferenceRequestNew");
constinit pytriton::Real<RequestDelete> request_delete("TRITONSERVER_InferenceRequestDelete");
constinit pytriton::Real<ErrorNew> error_new("TRITONSERVER_ErrorNew");

}  // namespace

PYTRITON_EXPORT void pytriton_set_request_gate(Enter new_enter, Leave new_leave, uint64_t new_limit) {
  limit = new_limit;
  leave = new_leave;
  enter = new_enter;
}

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestNew(void** request, void* server, const char* model,
                                                       int64_t version) {
  void* const error = request_new(request, server, model, version);
  const Enter entering = enter.load();
  if (error != nullptr || entering == nullptr || entering(*request, model)) {
    return pytriton::OfEnding(error);
  }
  request_delete(*request);
  *request = nullptr;
  char message[512];
  std::snprintf(
      message, sizeof(message),
      "model \"%s\" has %" PRIu64
      " requests already, as many as Limits(requests_per_model=...) allows; the request can be sent "
      "again",
      model, limit);
  return error_new(kUnavailable, message);
}

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestDelete(void* request) {
  if (enter.load() != nullptr) {
    leave(request);  // before another one can have this address
  }
  pytriton::ForgetCall(request);
  return request_delete(request);
}
