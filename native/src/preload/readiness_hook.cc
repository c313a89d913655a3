// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the server, in front of its own functions that say what is ready. To the server a model is
// ready from its loading on; only the backend knows whether any worker is left, and the backend API has no
// way to say so. The other side is backend/model_readiness.cc.
#include <atomic>
#include <cstdint>

#include "preload/ending.h"
#include "preload/hook.h"

namespace {

using ModelCheck = bool (*)(const char* name, int64_t version);
using ServerIsReady = void* (*)(void* server, bool* ready);
using ModelIsReady = void* (*)(void* server, const char* name, int64_t version, bool* ready);

std::atomic<ModelCheck> model_check{nullptr};

constinit pytriton::Real<ServerIsReady> server_is_ready("TRITONSERVER_ServerIsReady");
constinit pytriton::Real<ModelIsReady> model_is_ready("TRITONSERVER_ServerModelIsReady");

void Check(const void* error, const char* name, int64_t version, bool* ready) {
  const ModelCheck check = model_check.load();
  if (error == nullptr && *ready && check != nullptr) {
    *ready = check(name, version);
  }
}

}  // namespace

// The check: false if a model has no worker; of any model, if there is no name. None before there is a
// backend.
PYTRITON_EXPORT void pytriton_set_model_check(ModelCheck check) {
  model_check = check;
}

PYTRITON_EXPORT void* TRITONSERVER_ServerIsReady(void* server, bool* ready) {
  void* const error = server_is_ready(server, ready);
  Check(error, nullptr, -1, ready);
  if (error == nullptr && pytriton::ending) {
    *ready = false;
  }
  return error;
}

PYTRITON_EXPORT void* TRITONSERVER_ServerModelIsReady(void* server, const char* name, int64_t version,
                                                      bool* ready) {
  void* const error = model_is_ready(server, name, version, ready);
  Check(error, name, version, ready);
  return error;
}
