// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

namespace pytriton {

// The steps of a request's state that matter here, as the front end numbers them.
enum class Step : int32_t {
  kStart = 0,               // of a unary call: the request has been read
  kComplete = 1,            // of a unary call: the answer is on its way out
  kFinish = 2,              // of a unary call: the answer is out
  kIssued = 3,              // nothing is on its way out
  kRead = 4,                // of a stream: the request has been read
  kCancellationIssued = 8,  // waits for the last call
  kCancelled = 9            // goes at its next event
};

// What the gRPC front end knows of a request, laid out as in the bundled Triton 2.51 for x86-64
// (InferHandlerState of infer_handler.h).
class CallState {
 public:
  explicit CallState(void* state) : state_(static_cast<char*>(state)) {}

  void* get() const { return state_; }
  Step step() const { return Peek<Step>(state_ + 32); }
  void SetStep(Step step) { *reinterpret_cast<Step*>(state_ + 32) = step; }
  // The front end lets go of its context before the state is another request's.
  bool HasContext() const { return context() != nullptr; }
  // Whether the front end has dealt with a cancellation, and whether one has come.
  bool IsCancelled() const { return Peek<Step>(context() + 336) == Step::kCancelled; }
  bool IsNotified() const { return Peek<uint8_t>(context() + 352) != 0; }

  // Keep the front end from going on with a unary call. The lock can be taken again by the same thread.
  void LockStep() { pthread_mutex_lock(mutex()); }
  void UnlockStep() { pthread_mutex_unlock(mutex()); }

  // Keeps the front end from going on with a stream; false if it is doing that. The locks can be taken again
  // by the same thread; the front end takes them in either order.
  bool TryLock() {
    context_mutex_ = reinterpret_cast<pthread_mutex_t*>(context() + 32);
    if (pthread_mutex_trylock(context_mutex_) != 0) {
      return false;
    }
    if (pthread_mutex_trylock(mutex()) != 0) {
      pthread_mutex_unlock(context_mutex_);
      return false;
    }
    return true;
  }
  // In this order: the front end wants the context's before it lets the state go.
  void Unlock() {
    pthread_mutex_unlock(mutex());
    pthread_mutex_unlock(context_mutex_);
  }

 private:
  template <typename T>
  static T Peek(char* place) {
    return std::atomic_ref<T>(*reinterpret_cast<T*>(place)).load(std::memory_order_acquire);
  }
  char* context() const { return Peek<char*>(state_ + 16); }
  pthread_mutex_t* mutex() const { return reinterpret_cast<pthread_mutex_t*>(state_ + 40); }

  char* state_;
  pthread_mutex_t* context_mutex_ = nullptr;
};

}  // namespace pytriton
