// SPDX-License-Identifier: Apache-2.0
#include "preload/unary_calls.h"

#include <pthread.h>

namespace pytriton {

namespace {

constexpr int64_t kBetweenLooksNs = 100'000'000;

}  // namespace

constinit UnaryCalls unary_calls;

void UnaryCalls::LookLater() {
  if (looks_.Start()) {
    looks_.Add(look_, kBetweenLooksNs);
  } else {
    is_wanted_ = false;
  }
}

bool UnaryCalls::CompleteLater(DelayedTask& completion) {
  if (!completions_.Start()) {
    return false;
  }
  completions_.Add(completion, 0);
  return true;
}

void UnaryCalls::Stop(int64_t timeout_ns) {
  completions_.Await(timeout_ns);
  pthread_mutex_lock(&look_mutex_);
  is_stopped_ = true;
  pthread_mutex_unlock(&look_mutex_);
}

int64_t UnaryCalls::LookAround(void* self) {
  UnaryCalls& calls = *static_cast<UnaryCalls*>(self);
  calls.is_wanted_ = false;
  pthread_mutex_lock(&calls.look_mutex_);
  const bool is_any = !calls.is_stopped_ && calls.Look();
  pthread_mutex_unlock(&calls.look_mutex_);
  // If it is wanted again already, whoever wants it has seen to it.
  return is_any && !calls.is_wanted_.exchange(true) ? kBetweenLooksNs : DelayedTask::kDone;
}

// Whether there are some to look at again.
bool UnaryCalls::Look() {
  bool is_any = false;
  UnaryCall* left = nullptr;
  table_.ForEach([&](UnaryCall* call) {
    const UnaryCall::Remains remains = call->Look();
    is_any = is_any || remains != UnaryCall::Remains::kNone;
    if (remains == UnaryCall::Remains::kLeft) {
      call->Hold();
      call->next_of_left = left;
      left = call;
    }
  });
  while (left != nullptr) {
    UnaryCall* const call = left;
    left = call->next_of_left;
    call->CompleteAgain();  // and the front end releases its state
    call->Release();
  }
  return is_any;
}

}  // namespace pytriton
