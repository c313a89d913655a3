// SPDX-License-Identifier: Apache-2.0
#include "core/allocator.h"

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <set>
#include <vector>

namespace pytriton {

namespace {

constexpr uint64_t kPage = 4096;

// What an allocator is meant to do, page by page and without any cleverness.
class Reference {
 public:
  explicit Reference(uint64_t pages) : used_(pages), dirty_(pages) {}

  std::optional<Block> Allocate(uint64_t length) {
    const uint64_t wanted = Allocator::SizeClass(length) / kPage;
    uint64_t run = 0;
    for (uint64_t page = 0; page < used_.size(); ++page) {
      run = used_[page] ? 0 : run + 1;
      if (run == wanted) {
        Mark({(page + 1 - wanted) * kPage, wanted * kPage}, true);
        return Block{(page + 1 - wanted) * kPage, wanted * kPage};
      }
    }
    return std::nullopt;
  }
  void Free(const Block& block) { Mark(block, false); }

  // Whether giving this back does no harm.
  bool GiveBack(uint64_t offset, uint64_t length) {
    for (uint64_t page = offset / kPage; page < (offset + length) / kPage; ++page) {
      if (used_.at(page)) {
        return false;
      }
      dirty_[page] = false;
    }
    return offset % kPage == 0 && length % kPage == 0 && length > 0;
  }

  uint64_t DirtyAndFree() const {
    uint64_t count = 0;
    for (uint64_t page = 0; page < used_.size(); ++page) {
      count += dirty_[page] && !used_[page];
    }
    return count;
  }

 private:
  void Mark(const Block& block, bool used) {
    for (uint64_t page = block.offset / kPage; page < (block.offset + block.length) / kPage; ++page) {
      used_[page] = used;
      dirty_[page] = true;
    }
  }

  std::vector<bool> used_;
  std::vector<bool> dirty_;
};

uint64_t Sum(const std::map<uint64_t, uint64_t>& ranges) {
  uint64_t sum = 0;
  for (const auto& [offset, length] : ranges) {
    sum += length;
  }
  return sum;
}

}  // namespace

TEST_CASE("Block::Contains does not overflow") {
  const Block block{100, 50};
  CHECK(block.Contains(100, 50));
  CHECK(block.Contains(149, 1));
  CHECK(block.Contains(150, 0));
  CHECK_FALSE(block.Contains(151, 0));
  CHECK_FALSE(block.Contains(99, 1));
  CHECK_FALSE(block.Contains(100, 51));
  CHECK_FALSE(block.Contains(149, 2));
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  CHECK_FALSE(block.Contains(kMost, 1));
  CHECK_FALSE(block.Contains(kMost - 10, 50));
  CHECK_FALSE(block.Contains(120, kMost - 100));
  CHECK_FALSE(block.Contains(101, kMost));
}

TEST_CASE("SizeClass rounds up, little, and to few lengths") {
  CHECK(Allocator::SizeClass(0) == kPage);
  CHECK(Allocator::SizeClass(1) == kPage);
  CHECK(Allocator::SizeClass(kPage) == kPage);
  CHECK(Allocator::SizeClass(kPage + 1) == 2 * kPage);
  CHECK(Allocator::SizeClass(4 * kPage + 1) == 5 * kPage);
  CHECK(Allocator::SizeClass(8 * kPage + 1) == 10 * kPage);
  CHECK(Allocator::SizeClass(uint64_t{1} << 30) == uint64_t{1} << 30);
  CHECK(Allocator::SizeClass((uint64_t{1} << 30) + 1) == (uint64_t{1} << 30) / 4 * 5);
  std::set<uint64_t> classes;
  uint64_t last = 0;
  for (uint64_t length = 1; length < uint64_t{1} << 32; length += 1 + length / 97) {
    const uint64_t rounded = Allocator::SizeClass(length);
    REQUIRE(rounded % kPage == 0);
    REQUIRE(rounded >= length);
    REQUIRE((rounded - length < kPage || rounded - length <= length / 4));
    REQUIRE(rounded >= last);
    REQUIRE(Allocator::SizeClass(rounded) == rounded);
    last = rounded;
    classes.insert(rounded);
  }
  CHECK(classes.size() < 80);
}

TEST_CASE("the lowest range that is long enough is taken") {
  Allocator allocator(16 * kPage);
  const Block a = allocator.Allocate(kPage).value();
  const Block b = allocator.Allocate(3 * kPage).value();
  const Block c = allocator.Allocate(1).value();
  CHECK(a.offset == 0);
  CHECK(b.offset == kPage);
  CHECK(b.length == 3 * kPage);
  CHECK(c.offset == 4 * kPage);
  allocator.Free(b);
  CHECK(allocator.Allocate(4 * kPage)->offset == 5 * kPage);
  CHECK(allocator.Allocate(2 * kPage)->offset == kPage);
  CHECK(allocator.Allocate(kPage)->offset == 3 * kPage);
  CHECK(allocator.in_use() == 9 * kPage);
}

TEST_CASE("freed neighbours become one range, in any order") {
  const std::vector<std::vector<size_t>> orders = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const std::vector<size_t>& order : orders) {
    Allocator allocator(3 * kPage);
    const Block blocks[] = {*allocator.Allocate(1), *allocator.Allocate(1), *allocator.Allocate(1)};
    CHECK_FALSE(allocator.Allocate(1));
    for (const size_t index : order) {
      allocator.Free(blocks[index]);
    }
    CHECK(allocator.in_use() == 0);
    const auto whole = allocator.Allocate(3 * kPage);
    REQUIRE(whole);
    CHECK(whole->offset == 0);
  }
}

TEST_CASE("what does not fit is refused and changes nothing") {
  Allocator small(9 * kPage + 17);
  CHECK_FALSE(small.Allocate(9 * kPage + 1));
  CHECK_FALSE(small.Allocate(8 * kPage + 1));  // its size class is larger than the segment
  CHECK(small.in_use() == 0);

  Allocator allocator(10 * kPage + 17);
  CHECK_FALSE(allocator.Allocate(10 * kPage + 1));
  CHECK_FALSE(allocator.Allocate(std::numeric_limits<uint64_t>::max()));
  CHECK_FALSE(allocator.Allocate(std::numeric_limits<uint64_t>::max() / 2 + 1));
  CHECK(allocator.in_use() == 0);
  CHECK(allocator.Allocate(8 * kPage)->length == 8 * kPage);
  CHECK_FALSE(allocator.Allocate(3 * kPage));
  CHECK(allocator.Allocate(2 * kPage)->offset == 8 * kPage);
  CHECK_FALSE(allocator.Allocate(0));

  Allocator nothing(kPage - 1);
  CHECK_FALSE(nothing.Allocate(0));
  CHECK_FALSE(nothing.Allocate(1));
  CHECK(nothing.TakeIdle().empty());
}

TEST_CASE("TakeIdle gives what lies above the peak first, and the rest when nothing happened in between") {
  Allocator allocator(64 * kPage);
  CHECK(allocator.TakeIdle().empty());

  const Block low = *allocator.Allocate(4 * kPage);
  const Block high = *allocator.Allocate(8 * kPage);
  allocator.Free(high);
  CHECK(allocator.TakeIdle().empty());  // the peak of this round was the end of `high`
  allocator.Free(low);
  const Block again = *allocator.Allocate(kPage);
  allocator.Free(again);
  CHECK(allocator.TakeIdle() == std::map<uint64_t, uint64_t>{{4 * kPage, 8 * kPage}});
  CHECK(allocator.TakeIdle() == std::map<uint64_t, uint64_t>{{0, 4 * kPage}});
  CHECK(allocator.TakeIdle().empty());
}

TEST_CASE("TakeIdle leaves alone what is in use") {
  Allocator allocator(64 * kPage);
  const Block a = *allocator.Allocate(4 * kPage);
  const Block b = *allocator.Allocate(4 * kPage);
  const Block c = *allocator.Allocate(4 * kPage);
  allocator.Free(a);
  allocator.Free(c);
  CHECK(allocator.TakeIdle().empty());
  const std::map<uint64_t, uint64_t> idle = allocator.TakeIdle();
  CHECK(idle == std::map<uint64_t, uint64_t>{{a.offset, a.length}, {c.offset, c.length}});
  allocator.Free(b);
  CHECK(Sum(allocator.TakeIdle()) >= b.length);

  Allocator full(2 * kPage);
  full.Allocate(2 * kPage);
  CHECK(full.TakeIdle().empty());
  CHECK(full.TakeIdle().empty());
}

TEST_CASE("random sequences behave as the reference does") {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    constexpr uint64_t kPages = 200;
    Allocator allocator(kPages * kPage);
    Reference reference(kPages);
    std::vector<Block> held;
    uint64_t in_use = 0;
    for (int step = 0; step < 400; ++step) {
      const auto choice = random() % 100;
      if (choice < 50) {
        const uint64_t length = random() % (random() % 4 == 0 ? 60 * kPage : 5 * kPage);
        const std::optional<Block> block = allocator.Allocate(length);
        const std::optional<Block> expected = reference.Allocate(length);
        REQUIRE(block.has_value() == expected.has_value());
        if (block) {
          REQUIRE(block->offset == expected->offset);
          REQUIRE(block->length == expected->length);
          held.push_back(*block);
          in_use += block->length;
        }
      } else if (choice < 95) {
        if (!held.empty()) {
          std::swap(held[random() % held.size()], held.back());
          allocator.Free(held.back());
          reference.Free(held.back());
          in_use -= held.back().length;
          held.pop_back();
        }
      } else {
        for (const auto& [offset, length] : allocator.TakeIdle()) {
          REQUIRE(reference.GiveBack(offset, length));
        }
      }
      REQUIRE(allocator.in_use() == in_use);
    }
    // Two quiet rounds, and nothing that was touched stays unless it is in use.
    for (int round = 0; round < 2; ++round) {
      for (const auto& [offset, length] : allocator.TakeIdle()) {
        REQUIRE(reference.GiveBack(offset, length));
      }
    }
    CHECK(reference.DirtyAndFree() == 0);
  }
}

}  // namespace pytriton
