// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

// Of the library that is preloaded into the server.
namespace pytriton {

// The steps of a stream's state that matter here, as the front end numbers them.
enum class Step : int32_t {
  kIssued = 3,              // nothing is on its way out
  kRead = 4,                // the request has been read
  kCancellationIssued = 8,  // waits for the last call
  kCancelled = 9            // goes at its next event
};

// What the gRPC front end knows of a request of a stream, laid out as in the bundled Triton 2.51 for x86-64
// (InferHandlerState of infer_handler.h).
class StreamState {
 public:
  explicit StreamState(void* state) : state_(static_cast<char*>(state)) {}

  void* get() const { return state_; }
  Step step() const { return Peek<Step>(state_ + 32); }
  void SetStep(Step step) { *reinterpret_cast<Step*>(state_ + 32) = step; }
  // Whether the front end has dealt with a cancellation, and whether one has come.
  bool IsCancelled() const { return Peek<Step>(context() + 336) == Step::kCancelled; }
  bool IsNotified() const { return Peek<uint8_t>(context() + 352) != 0; }

  // Keeps the front end from going on with it; false if it is doing that. The locks can be taken again by the
  // same thread; the front end takes them in either order.
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
