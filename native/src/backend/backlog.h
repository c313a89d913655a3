// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace pytriton {

// Bytes of this process that no file backs.
uint64_t AnonymousMemory();

// Estimates how much of a stream's responses the server still holds: Triton takes responses whether or not
// their client reads them, and tells nobody how many wait. So what was sent is compared with what the server
// has grown by meanwhile.
class Backlog {
 public:
  using Measure = uint64_t (*)();
  explicit Backlog(Measure measure = AnonymousMemory) : measure_(measure) {}

  // Notes that so many bytes were handed over. Returns the estimate.
  uint64_t Add(uint64_t bytes);

 private:
  const Measure measure_;
  uint64_t unmeasured_ = 0;
  uint64_t before_ = 0;  // the size of the process at the last look
  uint64_t held_ = 0;
};

}  // namespace pytriton
