// SPDX-License-Identifier: Apache-2.0
#include "backend/model_readiness.h"

#include <dlfcn.h>

#include <cstdint>
#include <mutex>

namespace pytriton {

namespace {

using ModelCheck = bool (*)(const char* name, int64_t version);

std::mutex mutex;
ModelRegistry* registry = nullptr;  // guarded by mutex

bool HasWorkers(const char* name, int64_t version) {
  const std::unique_lock lock(mutex);
  return registry == nullptr || registry->HasWorkers(name, version);
}

}  // namespace

void TellReadiness(ModelRegistry* models) {
  {
    const std::unique_lock lock(mutex);
    registry = models;
  }
  const auto set_check =
      reinterpret_cast<void (*)(ModelCheck)>(dlsym(RTLD_DEFAULT, "pytriton_set_model_check"));
  if (set_check != nullptr) {
    set_check(models == nullptr ? nullptr : HasWorkers);
  }
}

}  // namespace pytriton
