// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the server, in front of the waits of its dynamic batchers. Where a model has a queue policy
// or priorities, Triton wakes its batcher only for requests that come while an instance waits for a batch;
// for those that come while all are busy it looks half a second later (dynamic_batch_scheduler.cc, Enqueue
// and WaitForPayloadSlotAvailable). Here such a wait is cut into shorter ones: a batcher looks as long after
// it has last been woken as that is ago, at most.
#include <pthread.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "hook.h"

namespace {

using ClockWait = int (*)(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                          const timespec* until);

constexpr int64_t kNsPerS = 1'000'000'000;
constexpr int64_t kBatcherWaitNs = 500'000'000;  // default_wait_microseconds of the batcher
constexpr int64_t kToleranceNs = 50'000'000;     // between its look at the clock and ours
constexpr int64_t kShortestNs = 250'000;

thread_local int64_t next_wait_ns = kShortestNs;
thread_local int64_t batcher_until_ns = 0;  // of the wait that is being cut

std::atomic<int> queue_policies{0};

constinit pytriton::Real<ClockWait> clock_wait("pthread_cond_clockwait");

int64_t Nanoseconds(const timespec& time) {
  return time.tv_sec * kNsPerS + time.tv_nsec;
}

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
  const bool is_new = left <= kBatcherWaitNs && left > kBatcherWaitNs - kToleranceNs;
  if (!is_new && (until_ns != batcher_until_ns || left <= next_wait_ns)) {
    return clock_wait(condition, mutex, clock, until);
  }
  batcher_until_ns = until_ns;
  const int64_t wait = next_wait_ns < left ? next_wait_ns : left;
  const timespec sooner{(now + wait) / kNsPerS, (now + wait) % kNsPerS};
  next_wait_ns = clock_wait(condition, mutex, clock, &sooner) == 0 ? kShortestNs : 2 * wait;
  return 0;  // to the batcher, which looks at its queue again, it is as if it had been woken
}
