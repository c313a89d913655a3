// SPDX-License-Identifier: Apache-2.0
#include "backend/app_limits.h"

#include <map>
#include <mutex>

namespace pytriton {

std::shared_ptr<AppLimits> AppLimits::Of(const Binding& binding) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<AppLimits>> apps;
  const std::string app = binding.socket_path.substr(0, binding.socket_path.rfind('/') + 1);
  const std::unique_lock lock(mutex);
  std::erase_if(apps, [](const auto& entry) { return entry.second.expired(); });
  std::shared_ptr<AppLimits> limits = apps[app].lock();
  if (limits == nullptr) {
    limits = std::make_shared<AppLimits>(binding.total_memory_limit, binding.total_stream_memory_limit);
    apps[app] = limits;
  }
  return limits;
}

}  // namespace pytriton
