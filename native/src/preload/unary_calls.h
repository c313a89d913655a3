// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "preload/call_table.h"
#include "preload/delayed_tasks.h"
#include "preload/unary_call.h"

namespace pytriton {

// The unary gRPC calls whose requests have not been deleted, a thread that looks for those that the front end
// has left, and one that answers those that were answered too early.
class UnaryCalls {
 public:
  void Add(UnaryCall* call) { table_.Add(call); }
  UnaryCall* Find(const void* request) { return table_.Find(request); }
  void Remove(const void* request) { table_.Remove(request); }

  // There is one that has been answered. Costs nothing while the thread has not looked since the last.
  void Watch() {
    if (!is_wanted_.load(std::memory_order_relaxed) && !is_wanted_.exchange(true)) {
      LookLater();
    }
  }
  // False without a thread to do it.
  bool CompleteLater(DelayedTask& completion);
  // The front end stops. Waits for those that have to be answered, for so long at most.
  void Stop(int64_t timeout_ns);

 private:
  static int64_t LookAround(void* self);
  void LookLater();
  bool Look();

  CallTable<UnaryCall> table_;
  DelayedTasks completions_;
  DelayedTasks looks_;
  DelayedTask look_{LookAround, this};
  std::atomic<bool> is_wanted_{false};  // whether there will be a look
  pthread_mutex_t look_mutex_ = PTHREAD_MUTEX_INITIALIZER;
  bool is_stopped_ = false;
};

extern UnaryCalls unary_calls;

}  // namespace pytriton
