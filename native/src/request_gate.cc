// SPDX-License-Identifier: Apache-2.0
#include "request_gate.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>

#include "core/request_limit.h"

namespace pytriton {

namespace {

using Enter = bool (*)(const void* request, const char* model);
using Leave = void (*)(const void* request);
using SetGate = void (*)(Enter enter, Leave leave, uint64_t limit);

// Never destroyed: requests are deleted until the very end of the server.
RequestLimit* request_limit = nullptr;

bool EnterLimit(const void* request, const char* model) {
  return request_limit->Enter(request, model);
}

void LeaveLimit(const void* request) {
  request_limit->Leave(request);
}

}  // namespace

void LimitRequests() {
  const char* text = std::getenv("PYTRITON_REQUESTS_PER_MODEL");
  const uint64_t limit = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  const auto set_gate = reinterpret_cast<SetGate>(dlsym(RTLD_DEFAULT, "pytriton_set_request_gate"));
  if (limit == 0 || set_gate == nullptr || request_limit != nullptr) {
    return;
  }
  request_limit = new RequestLimit(limit);
  set_gate(EnterLimit, LeaveLimit, limit);
}

}  // namespace pytriton
