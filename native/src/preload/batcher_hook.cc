// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the server, in front of the waits of its dynamic batchers. Where a model has a queue policy
// or priorities, Triton wakes its batcher only for requests that come while an instance waits for a batch;
// for those that come while all are busy it looks half a second later (dynamic_batch_scheduler.cc, Enqueue
// and WaitForPayloadSlotAvailable). Here such a wait is cut into shorter ones, each a fourth longer than the
// one before it, from the last time on that the batcher was woken or found a place for a batch.
#include <pthread.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "preload/clock.h"
#include "preload/hook.h"

namespace {

using pytriton::kNsPerS;
using pytriton::Nanoseconds;

using ClockWait = int (*)(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                          const timespec* until);

constexpr int64_t kBatcherWaitNs = 500'000'000;  // default_wait_microseconds of the batcher
constexpr int64_t kToleranceNs = 200'000'000;    // between its look at the clock and ours
constexpr int64_t kShortestNs = 250'000;

thread_local int64_t next_wait_ns = kShortestNs;
thread_local int64_t batcher_until_ns = 0;   // of the wait that is being cut
thread_local bool has_looked_again = false;  // within that wait: it waits for a place for a batch

std::atomic<int> queue_policies{0};

constinit pytriton::Real<ClockWait> clock_wait("pthread_cond_clockwait");

}  // namespace

// How many models with a queue policy there are now; without any, nothing is cut.
PYTRITON_EXPORT void pytriton_count_queue_policies(int change) {
  queue_policies += change;
}

PYTRITON_EXPORT int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                           const timespec* until) {
  timespec time;
  if (queue_policies.load(std::memory_order_relaxed) == 0 || clock_gettime(clock, &time) != 0) {
    return clock_wait(condition, mutex, clock, until);
  }
  const int64_t now = Nanoseconds(time);
  const int64_t until_ns = Nanoseconds(*until);
  const int64_t left = until_ns - now;
  const bool is_same = until_ns == batcher_until_ns;
  const bool is_long = left <= kBatcherWaitNs && left > kBatcherWaitNs - kToleranceNs;
  if (!is_same && !is_long) {
    return clock_wait(condition, mutex, clock, until);
  }
  if (!is_same && has_looked_again) {  // it has found one
    next_wait_ns = kShortestNs;
  }
  has_looked_again = is_same;
  batcher_until_ns = until_ns;
  if (left <= next_wait_ns) {
    const int result = clock_wait(condition, mutex, clock, until);
    next_wait_ns = result == 0 ? kShortestNs : next_wait_ns;
    return result;
  }
  const timespec sooner{(now + next_wait_ns) / kNsPerS, (now + next_wait_ns) % kNsPerS};
  next_wait_ns = clock_wait(condition, mutex, clock, &sooner) == 0 ? kShortestNs : next_wait_ns / 4 * 5;
  return 0;  // to the batcher, which looks at its queue again, it is as if it had been woken
}
