// SPDX-License-Identifier: Apache-2.0
#include "core/request_limit.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

namespace pytriton {

TEST_CASE("each model has its own requests") {
  RequestLimit limit(2);
  std::array<char, 4> requests{};
  CHECK(limit.Enter(&requests[0], "a"));
  CHECK(limit.Enter(&requests[1], "a"));
  CHECK_FALSE(limit.Enter(&requests[2], "a"));
  CHECK(limit.Enter(&requests[3], "b"));
  limit.Leave(&requests[0]);
  CHECK(limit.Enter(&requests[2], "a"));
}

TEST_CASE("what was refused, or never came, does not leave") {
  RequestLimit limit(1);
  std::array<char, 3> requests{};
  CHECK(limit.Enter(&requests[0], "a"));
  CHECK_FALSE(limit.Enter(&requests[1], "a"));
  limit.Leave(&requests[1]);
  limit.Leave(&requests[2]);
  CHECK_FALSE(limit.Enter(&requests[1], "a"));
  limit.Leave(&requests[0]);
  limit.Leave(&requests[0]);
  CHECK(limit.Enter(&requests[1], "a"));
  CHECK_FALSE(limit.Enter(&requests[0], "a"));
}

TEST_CASE("a request in the place of one that has gone counts once") {
  RequestLimit limit(2);
  std::array<char, 3> requests{};
  CHECK(limit.Enter(&requests[0], "a"));
  CHECK(limit.Enter(&requests[0], "b"));
  CHECK(limit.Enter(&requests[1], "a"));
  CHECK(limit.Enter(&requests[2], "a"));
}

TEST_CASE("threads never have more than the limit together") {
  RequestLimit limit(3);
  std::atomic<int> inside{0};
  std::atomic<bool> too_many{false};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      char request = 0;
      for (int turn = 0; turn < 2000; ++turn) {
        if (limit.Enter(&request, "a")) {
          too_many = too_many || ++inside > 3;
          --inside;
          limit.Leave(&request);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK_FALSE(too_many);
}

}  // namespace pytriton
