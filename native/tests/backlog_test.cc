// SPDX-License-Identifier: Apache-2.0
#include "backend/backlog.h"

#include <doctest/doctest.h>

namespace pytriton {

namespace {

constexpr uint64_t kMegabyte = uint64_t{1} << 20;

uint64_t size = 0;
uint64_t Size() {
  return size;
}

}  // namespace

TEST_CASE("what stays in the process is held") {
  size = 100 * kMegabyte;
  Backlog backlog(Size);
  uint64_t held = 0;
  for (int step = 0; step < 64; ++step) {
    size += kMegabyte;
    held = backlog.Add(kMegabyte);
  }
  CHECK(held > 55 * kMegabyte);
  CHECK(held <= 64 * kMegabyte);
}

TEST_CASE("what goes is not") {
  size = 100 * kMegabyte;
  Backlog backlog(Size);
  for (int step = 0; step < 1000; ++step) {
    CHECK(backlog.Add(kMegabyte) == 0);
  }
}

TEST_CASE("what has gone in the end is not either, and what others take never is") {
  size = 100 * kMegabyte;
  Backlog backlog(Size);
  size += 1000 * kMegabyte;
  CHECK(backlog.Add(16 * kMegabyte) == 0);  // the first look
  size += 1000 * kMegabyte;
  CHECK(backlog.Add(16 * kMegabyte) == 16 * kMegabyte);
  size -= 4 * kMegabyte;
  CHECK(backlog.Add(16 * kMegabyte) == 12 * kMegabyte);
  size = 0;
  CHECK(backlog.Add(16 * kMegabyte) == 0);
}

TEST_CASE("the size of this process is some megabytes") {
  CHECK(AnonymousMemory() > kMegabyte / 4);
  CHECK(AnonymousMemory() < uint64_t{1} << 44);
}

}  // namespace pytriton
