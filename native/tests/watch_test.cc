// SPDX-License-Identifier: Apache-2.0
#include "backend/watch.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "support.h"

namespace pytriton {

namespace {

using testing::Eventually;

class Counter final : public Watched {
 public:
  void Look() noexcept override { ++looks; }
  std::atomic<int> looks{0};
};

}  // namespace

TEST_CASE("what is watched looks again and again, and what is not does not") {
  Watch watch;
  Counter counters[3];
  for (Counter& counter : counters) {
    watch.Add(counter);
  }
  for (Counter& counter : counters) {
    CHECK(Eventually([&] { return counter.looks > 2; }));
  }
  watch.Remove(counters[0]);
  watch.Remove(counters[0]);
  const int before = counters[0].looks;
  const int other = counters[2].looks;
  CHECK(Eventually([&] { return counters[2].looks > other + 2; }));
  CHECK(counters[0].looks == before);
  watch.Remove(counters[2]);
  watch.Remove(counters[1]);
}

TEST_CASE("a watch that sleeps wakes up") {
  Watch watch;
  Counter first;
  watch.Add(first);
  watch.Remove(first);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // nothing tells that it sleeps
  Counter second;
  watch.Add(second);
  CHECK(Eventually([&] { return second.looks > 0; }));
  watch.Remove(second);
}

TEST_CASE("watched things may come and go from any thread") {
  Watch watch;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        const auto counter = std::make_unique<Counter>();
        watch.Add(*counter);
        watch.Remove(*counter);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST_CASE("a watch that was never used ends") {
  const Watch watch;
}

}  // namespace pytriton
