// SPDX-License-Identifier: Apache-2.0
#include "core/segment.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "core/failure.h"
#include "support.h"

namespace pytriton {

namespace {

uint64_t BytesOccupied(const Segment& segment) {
  struct stat status{};
  fstat(segment.descriptor(), &status);
  return static_cast<uint64_t>(status.st_blocks) * 512;
}

}  // namespace

TEST_CASE("a segment costs what is touched, and what is given back reads as zeros") {
  const Segment segment(uint64_t{1} << 36);
  CHECK(BytesOccupied(segment) == 0);
  std::memset(segment.base() + 8192, 7, 3 * 4096);
  CHECK(BytesOccupied(segment) == 3 * 4096);
  segment.GiveBack(12288, 4096);
  CHECK(BytesOccupied(segment) == 2 * 4096);
  CHECK(segment.base()[12288] == std::byte{0});
  CHECK(segment.base()[12287] == std::byte{7});
  CHECK(segment.base()[16384] == std::byte{7});
}

TEST_CASE("nobody who has its descriptor can change the size of a segment") {
  const Segment segment(65536);
  CHECK(ftruncate(segment.descriptor(), 0) == -1);
  CHECK(ftruncate(segment.descriptor(), 1 << 20) == -1);
  CHECK(fcntl(segment.descriptor(), F_ADD_SEALS, F_SEAL_WRITE) == -1);
  CHECK((fcntl(segment.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a segment that cannot be is a failure, and leaves no descriptor") {
  const size_t before = testing::DescriptorCount();
  for (const uint64_t size : {~uint64_t{0}, ~uint64_t{0} / 2, uint64_t{1} << 60, uint64_t{0}}) {
    CHECK_THROWS_AS(Segment{size}, Failure);
  }
  CHECK(testing::DescriptorCount() == before);
}

}  // namespace pytriton
