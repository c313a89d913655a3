// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the server, in front of its own functions that look for a model: while the server answers
// its last requests, to load balancers and clients "unknown" would mean that they have made a mistake. The
// other side is backend/control.cc.
#include <cstdint>

#include "preload/ending.h"
#include "preload/hook.h"

namespace {

using ErrorCode = int (*)(void* error);
using ErrorDelete = void (*)(void* error);
using ErrorNew = void* (*)(int code, const char* message);
using Properties = void* (*)(void* server, const char* name, int64_t version, uint32_t* flags, void** extra);
using Metadata = void* (*)(void* server, const char* name, int64_t version, void** message);
using Config = void* (*)(void* server, const char* name, int64_t version, uint32_t format, void** message);

constexpr int kNotFound = 2;     // TRITONSERVER_ERROR_NOT_FOUND
constexpr int kUnavailable = 4;  // TRITONSERVER_ERROR_UNAVAILABLE

constinit pytriton::Real<ErrorCode> error_code("TRITONSERVER_ErrorCode");
constinit pytriton::Real<ErrorDelete> error_delete("TRITONSERVER_ErrorDelete");
constinit pytriton::Real<ErrorNew> error_new("TRITONSERVER_ErrorNew");
constinit pytriton::Real<Properties> transaction_properties("TRITONSERVER_ServerModelTransactionProperties");
constinit pytriton::Real<Metadata> model_metadata("TRITONSERVER_ServerModelMetadata");
constinit pytriton::Real<Config> model_config("TRITONSERVER_ServerModelConfig");

}  // namespace

namespace pytriton {

std::atomic<bool> ending{false};

void* OfEnding(void* error) {
  if (error == nullptr || !ending || error_code(error) != kNotFound) {
    return error;
  }
  error_delete(error);
  return error_new(kUnavailable, "the server is shutting down and takes no more requests");
}

}  // namespace pytriton

PYTRITON_EXPORT void pytriton_set_ending() {
  pytriton::ending = true;
}

PYTRITON_EXPORT void* TRITONSERVER_ServerModelTransactionProperties(void* server, const char* name,
                                                                    int64_t version, uint32_t* flags,
                                                                    void** extra) {
  return pytriton::OfEnding(transaction_properties(server, name, version, flags, extra));
}

PYTRITON_EXPORT void* TRITONSERVER_ServerModelMetadata(void* server, const char* name, int64_t version,
                                                       void** message) {
  return pytriton::OfEnding(model_metadata(server, name, version, message));
}

PYTRITON_EXPORT void* TRITONSERVER_ServerModelConfig(void* server, const char* name, int64_t version,
                                                     uint32_t format, void** message) {
  return pytriton::OfEnding(model_config(server, name, version, format, message));
}
