// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace pytriton {

// How many requests each model may have at a time, wherever in the server they are.
class RequestLimit {
 public:
  explicit RequestLimit(uint64_t limit) : limit_(limit) {}

  // Counts a request of a model; false, and not counted, if the model has as many as it may have.
  bool Enter(const void* request, std::string_view model);

  // Counts a request no more; nothing happens if it was not counted.
  void Leave(const void* request);

 private:
  using Counts = std::map<std::string, uint64_t, std::less<>>;

  const uint64_t limit_;
  std::mutex mutex_;
  Counts counts_;  // of every model that was ever asked
  std::unordered_map<const void*, Counts::iterator> models_;
};

}  // namespace pytriton
