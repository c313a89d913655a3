// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "preload/call_table.h"
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
      Wake();
    }
  }
  void CompleteLater(UnaryCall* call);
  // The front end stops. Waits for those that have to be answered, for so long at most.
  void Stop(int64_t timeout_ns);

 private:
  static void* Work(void* self);
  static void* CompleteAll(void* self);
  bool HasToComplete();
  void Wake();
  bool Look();

  CallTable<UnaryCall> table_;
  std::atomic<bool> is_wanted_{false};
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t news_ = PTHREAD_COND_INITIALIZER;
  bool is_started_ = false;
  pthread_mutex_t complete_mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t to_complete_ = PTHREAD_COND_INITIALIZER;
  bool completes_ = false;  // whether its thread is there
  bool is_completing_ = false;
  UnaryCall* first_to_complete_ = nullptr;
  UnaryCall** last_to_complete_ = &first_to_complete_;
  pthread_mutex_t look_mutex_ = PTHREAD_MUTEX_INITIALIZER;
  bool is_stopped_ = false;
};

extern UnaryCalls unary_calls;

}  // namespace pytriton
