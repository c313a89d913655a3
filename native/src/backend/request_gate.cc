// SPDX-License-Identifier: Apache-2.0
#include "backend/request_gate.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>

#include "backend/error.h"
#include "core/request_limit.h"

namespace pytriton {

namespace {

using Enter = bool (*)(const void* request, const char* model);
using Leave = void (*)(const void* request);
using SetGate = void (*)(Enter enter, Leave leave, uint64_t limit);

// Never destroyed: requests are deleted until the very end of the server.
std::atomic<RequestLimit*> request_limit{nullptr};

bool EnterLimit(const void* request, const char* model) {
  try {
    return request_limit.load()->Enter(request, model);
  } catch (const std::exception&) {  // no memory: not the time to refuse what may be the way out
    return true;
  }
}

}  // namespace

void LeaveLimit(const void* request) {
  if (RequestLimit* const limit = request_limit.load(std::memory_order_acquire)) {
    limit->Leave(request);
  }
}

void LimitRequests() {
  const char* text = std::getenv("PYTRITON_REQUESTS_PER_MODEL");
  const uint64_t limit = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  if (limit == 0 || request_limit.load() != nullptr) {
    return;
  }
  const auto set_gate = reinterpret_cast<SetGate>(dlsym(RTLD_DEFAULT, "pytriton_set_request_gate"));
  if (set_gate == nullptr) {
    Log(TRITONSERVER_LOG_WARN, "Limits(requests_per_model=" + std::to_string(limit) +
                                   ") has no effect: our library is not preloaded into this server; a "
                                   "program that starts it may have "
                                   "removed LD_PRELOAD");
    return;
  }
  request_limit = new RequestLimit(limit);
  set_gate(EnterLimit, LeaveLimit, limit);
}

}  // namespace pytriton
