// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/socket.h"

namespace pytriton {

// Memory shared with one worker: an anonymous file (memfd) as large as the worker's limit and sparse, so that
// it costs what is touched. It is sealed against changing its size: a worker that truncated it would crash
// the server.
class Segment {
 public:
  explicit Segment(uint64_t size);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  std::byte* base() const { return base_; }
  uint64_t size() const { return size_; }
  int descriptor() const { return fd_.get(); }

  // Returns the pages of a range to the system; they read as zeros afterwards.
  void GiveBack(uint64_t offset, uint64_t length) const;

 private:
  UniqueFd fd_;
  uint64_t size_;
  std::byte* base_;
};

}  // namespace pytriton
