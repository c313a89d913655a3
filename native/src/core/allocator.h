// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace pytriton {

// A range of a segment.
struct Block {
  uint64_t offset = 0;
  uint64_t length = 0;

  bool Contains(uint64_t other_offset, uint64_t other_length) const {
    return other_offset >= offset && other_length <= length && other_offset - offset <= length - other_length;
  }
};

// Hands out ranges of a segment, lowest address first: what is used stays together at the start, in pages
// already touched. Not thread-safe; knows numbers only.
class Allocator {
 public:
  explicit Allocator(uint64_t size);

  // Page-aligned, of `SizeClass(length)` bytes; nothing when no free range is that long.
  std::optional<Block> Allocate(uint64_t length);
  void Free(const Block& block);

  // The end of all that will have been touched once `Allocate` has handed out a block of this length; 0 when
  // it would hand out none.
  uint64_t TopAfter(uint64_t length) const;

  uint64_t in_use() const { return in_use_; }
  uint64_t touched() const { return touched_; }

  // What was touched once and not used since the last call: pages that can be given back. All free pages when
  // nothing was allocated in between, otherwise those above the highest address in use meanwhile.
  std::map<uint64_t, uint64_t> TakeIdle();
  // The same, of all free pages.
  std::map<uint64_t, uint64_t> TakeFree();

  // Rounds up to whole pages and, above 16 KiB, to a quarter of a power of two, so that few different lengths
  // occur and what one block leaves fits the next.
  static uint64_t SizeClass(uint64_t length);
  // The same of any length; beyond what there can be, the length itself.
  static uint64_t Rounded(uint64_t length);

 private:
  using Ranges = std::map<uint64_t, uint64_t>;

  Ranges::const_iterator Find(uint64_t length) const;
  uint64_t HighestInUse() const;

  uint64_t size_;
  uint64_t in_use_ = 0;
  uint64_t touched_ = 0;  // no page above was touched since it was last given back
  uint64_t peak_ = 0;     // end of the highest block since the last TakeIdle
  bool active_ = false;
  Ranges free_;  // offset -> length, never adjacent
};

}  // namespace pytriton
