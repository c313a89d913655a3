// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "preload/call_state.h"

namespace pytriton {

constexpr uint32_t kFinal = 1;  // TRITONSERVER_RESPONSE_COMPLETE_FINAL

// The front end's callback for responses.
using Complete = void (*)(void* response, uint32_t flags, void* payload);

// A request of the gRPC front end for which it has set a callback.
template <typename Derived>
class Call {
 public:
  // Null without memory. The one reference is the caller's.
  template <typename... Arguments>
  static Derived* New(Arguments... arguments) {
    void* const memory = std::malloc(sizeof(Derived));
    return memory == nullptr ? nullptr : new (memory) Derived(arguments...);
  }
  void Hold() { ++references_; }
  void Release() {
    if (--references_ == 0) {
      auto* const call = static_cast<Derived*>(this);
      call->~Derived();
      std::free(call);
    }
  }

  // Calls the front end's callback as for the end of a request whose payload it has deleted already.
  void CompleteAgain() {
    struct Payload {  // ResponseReleasePayload: a state, and a vector, which is empty
      void* state;
      void* regions[3];
    };
    if (auto* const payload = static_cast<Payload*>(std::calloc(1, sizeof(Payload)))) {
      payload->state = state_.get();
      complete_(nullptr, kFinal, payload);  // deletes it
    }
  }

  void* const request;
  Derived* next = nullptr;  // of those with the same hash

 protected:
  Call(void* its_request, Complete complete, void* payload)
      : request(its_request), complete_(complete), payload_(payload), state_(*static_cast<void**>(payload)) {}

  const Complete complete_;
  void* const payload_;  // the front end's, deleted by its callback; the state is its first member
  CallState state_;

 private:
  std::atomic<int> references_{1};
};

}  // namespace pytriton
