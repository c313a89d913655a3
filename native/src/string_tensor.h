// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "handles.h"

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

// Triton's BYTES are elements of { u32 length, data }; ours are a table of offsets and the data.
inline constexpr uint64_t kLengthPrefix = sizeof(uint32_t);

// Throws Failure unless the input is `elements` well-formed elements.
void CheckStrings(const Input& input, uint64_t elements);

// Appends the elements of an input: their data from `data` + *`offset` on, and the end of each to `ends`.
void CopyStrings(const Input& input, uint64_t elements, std::byte* data, uint64_t& offset, uint64_t* ends);

// Writes elements as Triton wants them. `offsets` has one entry more than there are elements.
void WriteStrings(std::span<const uint64_t> offsets, const std::byte* data, std::byte* to);

}  // namespace pytriton
