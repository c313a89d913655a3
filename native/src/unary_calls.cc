// SPDX-License-Identifier: Apache-2.0
#include "unary_calls.h"

#include <pthread.h>
#include <time.h>

namespace pytriton {

namespace {

constexpr timespec kBetweenLooks{0, 100'000'000};

}  // namespace

constinit UnaryCalls unary_calls;

void UnaryCalls::Wake() {
  pthread_mutex_lock(&mutex_);
  if (!is_started_) {
    pthread_t thread;
    is_started_ = pthread_create(&thread, nullptr, Work, this) == 0 && pthread_detach(thread) == 0;
    is_wanted_ = is_started_;
  }
  pthread_cond_signal(&news_);
  pthread_mutex_unlock(&mutex_);
}

void UnaryCalls::Stop() {
  pthread_mutex_lock(&look_mutex_);
  is_stopped_ = true;
  pthread_mutex_unlock(&look_mutex_);
}

void* UnaryCalls::Work(void* self) {
  UnaryCalls& calls = *static_cast<UnaryCalls*>(self);
  while (true) {
    pthread_mutex_lock(&calls.mutex_);
    while (!calls.is_wanted_) {
      pthread_cond_wait(&calls.news_, &calls.mutex_);
    }
    pthread_mutex_unlock(&calls.mutex_);
    nanosleep(&kBetweenLooks, nullptr);
    calls.is_wanted_ = false;
    pthread_mutex_lock(&calls.look_mutex_);
    if (!calls.is_stopped_ && calls.Look()) {
      calls.is_wanted_ = true;
    }
    pthread_mutex_unlock(&calls.look_mutex_);
  }
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
    call->EndAgain();
    call->Release();
  }
  return is_any;
}

}  // namespace pytriton
