// SPDX-License-Identifier: Apache-2.0
#include "core/allocator.h"

#include <algorithm>
#include <bit>
#include <iterator>

namespace pytriton {

namespace {

constexpr uint64_t kPage = 4096;

uint64_t RoundUp(uint64_t length, uint64_t unit) {
  return (length + unit - 1) / unit * unit;
}

}  // namespace

Allocator::Allocator(uint64_t size) : size_(size / kPage * kPage) {
  if (size_ > 0) {
    free_.emplace(0, size_);
  }
}

uint64_t Allocator::SizeClass(uint64_t length) {
  const uint64_t unit = std::max(kPage, std::bit_floor(length) / 4);
  return RoundUp(std::max<uint64_t>(length, 1), unit);
}

uint64_t Allocator::Rounded(uint64_t length) {
  return length >> 62 == 0 ? SizeClass(length) : length;
}

Allocator::Ranges::const_iterator Allocator::Find(uint64_t length) const {
  if (length > size_) {
    return free_.end();
  }
  const uint64_t rounded = SizeClass(length);
  return std::find_if(free_.begin(), free_.end(), [&](const auto& range) { return range.second >= rounded; });
}

uint64_t Allocator::TopAfter(uint64_t length) const {
  const auto found = Find(length);
  return found == free_.end() ? 0 : std::max(touched_, found->first + SizeClass(length));
}

std::optional<Block> Allocator::Allocate(uint64_t length) {
  const auto found = Find(length);
  if (found == free_.end()) {
    return std::nullopt;
  }
  const uint64_t rounded = SizeClass(length);
  const Block block{found->first, rounded};
  const uint64_t rest = found->second - rounded;
  const auto next = free_.erase(found);
  if (rest > 0) {
    free_.emplace_hint(next, block.offset + rounded, rest);
  }
  in_use_ += rounded;
  peak_ = std::max(peak_, block.offset + rounded);
  touched_ = std::max(touched_, peak_);
  active_ = true;
  return block;
}

void Allocator::Free(const Block& block) {
  in_use_ -= block.length;
  auto range = free_.emplace(block.offset, block.length).first;
  const auto next = std::next(range);
  if (next != free_.end() && range->first + range->second == next->first) {
    range->second += next->second;
    free_.erase(next);
  }
  if (range != free_.begin()) {
    const auto previous = std::prev(range);
    if (previous->first + previous->second == range->first) {
      previous->second += range->second;
      free_.erase(range);
    }
  }
}

uint64_t Allocator::HighestInUse() const {
  if (free_.empty() || free_.rbegin()->first + free_.rbegin()->second < size_) {
    return size_;
  }
  return free_.rbegin()->first;
}

std::map<uint64_t, uint64_t> Allocator::TakeIdle() {
  const uint64_t from = active_ ? peak_ : 0;
  std::map<uint64_t, uint64_t> idle;
  for (const auto& [offset, length] : free_) {
    const uint64_t begin = std::max(offset, from);
    const uint64_t end = std::min(offset + length, touched_);
    if (begin < end) {
      idle.emplace(begin, end - begin);
    }
  }
  touched_ = active_ ? peak_ : HighestInUse();
  peak_ = HighestInUse();
  active_ = false;
  return idle;
}

std::map<uint64_t, uint64_t> Allocator::TakeFree() {
  active_ = false;
  return TakeIdle();
}

}  // namespace pytriton
