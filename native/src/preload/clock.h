// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <time.h>

#include <cstdint>

namespace pytriton {

constexpr int64_t kNsPerS = 1'000'000'000;

inline int64_t Nanoseconds(const timespec& time) {
  return time.tv_sec * kNsPerS + time.tv_nsec;
}

inline int64_t Now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Nanoseconds(time);
}

}  // namespace pytriton
