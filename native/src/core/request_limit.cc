// SPDX-License-Identifier: Apache-2.0
#include "core/request_limit.h"

namespace pytriton {

bool RequestLimit::Enter(const void* request, std::string_view model) {
  const std::unique_lock lock(mutex_);
  auto count = counts_.find(model);
  if (count == counts_.end()) {
    count = counts_.emplace(model, 0).first;
  }
  if (count->second >= limit_) {
    return false;
  }
  const auto [entry, is_new] = models_.try_emplace(request, count);
  if (!is_new) {  // the one that was here before has gone without a word
    --entry->second->second;
    entry->second = count;
  }
  ++count->second;
  return true;
}

void RequestLimit::Leave(const void* request) {
  const std::unique_lock lock(mutex_);
  const auto found = models_.find(request);
  if (found == models_.end()) {
    return;
  }
  const Counts::iterator count = found->second;
  models_.erase(found);
  --count->second;
}

}  // namespace pytriton
