// SPDX-License-Identifier: Apache-2.0
#include "backend/backlog.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace pytriton {

namespace {

// A look costs some microseconds, and small changes mean nothing.
constexpr uint64_t kLookAfter = uint64_t{8} << 20;

}  // namespace

uint64_t AnonymousMemory() {
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0;
  uint64_t resident = 0;
  uint64_t shared = 0;
  file >> size >> resident >> shared;
  return (resident - std::min(shared, resident)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t Backlog::Add(uint64_t bytes) {
  if (before_ == 0) {
    before_ = measure_();
  }
  unmeasured_ += bytes;
  if (unmeasured_ < kLookAfter) {
    return held_;
  }
  const uint64_t now = measure_();
  if (now >= before_) {
    // What the process has grown by for other reasons is not this stream's.
    held_ += std::min(now - before_, unmeasured_);
  } else {
    held_ -= std::min(before_ - now, held_);
  }
  before_ = now;
  unmeasured_ = 0;
  return held_;
}

}  // namespace pytriton
