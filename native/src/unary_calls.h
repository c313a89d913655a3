// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>

#include "call_table.h"
#include "unary_call.h"

// Of the library that is preloaded into the server.
namespace pytriton {

// The unary gRPC calls whose requests have not been deleted, and a thread that looks for those that the front
// end has left.
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
  // The front end stops.
  void Stop();

 private:
  static void* Work(void* self);
  void Wake();
  bool Look();

  CallTable<UnaryCall> table_;
  std::atomic<bool> is_wanted_{false};
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t news_ = PTHREAD_COND_INITIALIZER;
  bool is_started_ = false;
  pthread_mutex_t look_mutex_ = PTHREAD_MUTEX_INITIALIZER;
  bool is_stopped_ = false;
};

extern UnaryCalls unary_calls;

}  // namespace pytriton
