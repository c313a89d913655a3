// SPDX-License-Identifier: Apache-2.0
#include "preload/unary_calls.h"

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

void UnaryCalls::CompleteLater(UnaryCall* call) {
  pthread_mutex_lock(&complete_mutex_);
  if (!completes_) {
    pthread_t thread;
    completes_ = pthread_create(&thread, nullptr, CompleteAll, this) == 0 && pthread_detach(thread) == 0;
  }
  if (!completes_) {
    pthread_mutex_unlock(&complete_mutex_);
    call->CompleteLater();  // now rather than never
    return;
  }
  *last_to_complete_ = call;
  last_to_complete_ = &call->next_to_complete;
  pthread_cond_signal(&to_complete_);
  pthread_mutex_unlock(&complete_mutex_);
}

void* UnaryCalls::CompleteAll(void* self) {
  UnaryCalls& calls = *static_cast<UnaryCalls*>(self);
  pthread_mutex_lock(&calls.complete_mutex_);
  while (true) {
    UnaryCall* const call = calls.first_to_complete_;
    if (call == nullptr) {
      pthread_cond_wait(&calls.to_complete_, &calls.complete_mutex_);
      continue;
    }
    calls.first_to_complete_ = call->next_to_complete;
    if (calls.first_to_complete_ == nullptr) {
      calls.last_to_complete_ = &calls.first_to_complete_;
    }
    calls.is_completing_ = true;
    pthread_mutex_unlock(&calls.complete_mutex_);
    call->CompleteLater();
    pthread_mutex_lock(&calls.complete_mutex_);
    calls.is_completing_ = false;
  }
}

bool UnaryCalls::HasToComplete() {
  pthread_mutex_lock(&complete_mutex_);
  const bool has_any = first_to_complete_ != nullptr || is_completing_;
  pthread_mutex_unlock(&complete_mutex_);
  return has_any;
}

void UnaryCalls::Stop(int64_t timeout_ns) {
  constexpr timespec kMoment{0, 1'000'000};
  for (int64_t left_ns = timeout_ns; left_ns > 0 && HasToComplete(); left_ns -= kMoment.tv_nsec) {
    nanosleep(&kMoment, nullptr);
  }
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
