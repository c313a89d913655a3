// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <cstdint>

namespace pytriton {

// Something to be done later, which belongs to its owner.
struct DelayedTask {
  // In how many nanoseconds it has to be done again, or kDone.
  using Run = int64_t (*)(void* owner);
  static constexpr int64_t kDone = -1;

  Run run;
  void* owner;
  int64_t due_ns = 0;
  DelayedTask* next = nullptr;
};

// Does tasks when they are due, in a thread of its own.
class DelayedTasks {
 public:
  // Has the thread started; false if it cannot be. Without it, tasks wait for it to be started for a later
  // one.
  bool Start();
  // Of a task that is being done for the last time, its owner may add it again, or delete it.
  void Add(DelayedTask& task, int64_t wait_ns);
  // Waits until there are none, for so long at most.
  void Await(int64_t timeout_ns);

 private:
  static void* Work(void* self);
  bool IsEmpty();
  // Under the lock, as what follows.
  bool StartThread();
  void Insert(DelayedTask& task, int64_t wait_ns);
  void RunFirst();
  void WaitForNews(int64_t left_ns);

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t news_ = PTHREAD_COND_INITIALIZER;
  bool is_started_ = false;
  bool is_busy_ = false;  // with a task that is not among them
  DelayedTask* first_ = nullptr;
  DelayedTask* last_ = nullptr;
};

}  // namespace pytriton
