// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "backend/handles.h"

namespace pytriton {

// Reads the bytes of an input that Triton may hold in several buffers, as if they were one.
class InputReader {
 public:
  explicit InputReader(const Input& input) : input_(input) {}

  // False when fewer bytes are left. A null `to` skips them.
  bool Read(std::byte* to, uint64_t size) {
    while (size > 0) {
      if (buffer_.empty()) {
        if (index_ == input_.buffer_count) {
          return false;
        }
        buffer_ = input_.Buffer(index_++);
        continue;
      }
      const uint64_t part = std::min<uint64_t>(size, buffer_.size());
      if (to != nullptr) {
        std::memcpy(to, buffer_.data(), part);
        to += part;
      }
      buffer_ = buffer_.subspan(part);
      size -= part;
    }
    return true;
  }

 private:
  const Input& input_;
  uint32_t index_ = 0;
  std::span<const std::byte> buffer_;
};

// Triton's BYTES are elements of { u32 length, data }; ours have a tag before each (see shm_layout.h).
inline constexpr uint64_t kLengthPrefix = sizeof(uint32_t);

// Throws Failure unless the input is `elements` well-formed elements that a worker can read.
void CheckStrings(const Input& input, uint64_t elements);

// Copies the elements of an input to the start of `to` and returns what is left of that. Throws Failure when
// they are not those that were checked: a client can write to memory that it shares with the server.
std::span<std::byte> CopyStrings(const Input& input, uint64_t elements, std::span<std::byte> to);

// Writes elements as Triton wants them. `starts`, counted from `tensor`, has one entry more than there are
// elements.
void WriteStrings(std::span<const uint64_t> starts, const std::byte* tensor, std::byte* to);

}  // namespace pytriton
