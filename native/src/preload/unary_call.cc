// SPDX-License-Identifier: Apache-2.0
#include "preload/unary_call.h"

#include <utility>

#include "preload/unary_calls.h"

namespace pytriton {

namespace {

constexpr uint32_t kReleaseAll = 1;  // TRITONSERVER_REQUEST_RELEASE_ALL

}  // namespace

thread_local const void* UnaryCall::issuing = nullptr;

void UnaryCall::OnComplete(void* response, uint32_t flags, void* call) {
  UnaryCall& self = *static_cast<UnaryCall*>(call);
  if (self.response_ == nullptr) {
    // The front end would send it at the end anyway; of a call that is cancelled in between, it would take
    // one for the other.
    std::swap(self.response_, response);
  }
  if ((flags & kFinal) == 0 && response == nullptr) {
    return;
  }
  if (issuing == self.request && (flags & kFinal) != 0 && response == nullptr &&
      unary_calls.CompleteLater(self.completion_)) {
    return;
  }
  self.Finish(response, flags);
}

int64_t UnaryCall::FinishLater(void* call) {
  static_cast<UnaryCall*>(call)->Finish(nullptr, kFinal);
  return DelayedTask::kDone;
}

// With what may be a second response.
void UnaryCall::Finish(void* response, uint32_t flags) {
  CallState state = state_;
  state.LockStep();
  if (response != nullptr) {
    complete_(response_, 0, payload_);
  } else {
    response = response_;
  }
  response_ = nullptr;
  complete_(response, flags, payload_);
  is_answered_ = (flags & kFinal) != 0;
  if (state.step() == Step::kCancelled && !state.IsCancelled()) {
    state.SetStep(Step::kComplete);
  }
  state.UnlockStep();  // from here on there may be no call
  unary_calls.Watch();
}

void UnaryCall::OnReleased(void* request, uint32_t flags, void* call) {
  UnaryCall& self = *static_cast<UnaryCall*>(call);
  self.Hold();
  self.released_(request, flags, self.released_payload_);
  if ((flags & kReleaseAll) != 0) {
    self.is_let_go_ = true;
  }
  self.Release();
}

void UnaryCall::SetRefused() {
  is_let_go_ = true;
  is_answered_ = true;
}

UnaryCall::Remains UnaryCall::Look() {
  if (!is_answered_) {
    return Remains::kNone;
  }
  if (!is_let_go_ || state_.step() != Step::kFinish) {
    has_finished_ = false;
    return Remains::kPerhaps;
  }
  if (!has_finished_) {
    has_finished_ = true;
    return Remains::kPerhaps;
  }
  return state_.HasContext() && state_.IsCancelled() ? Remains::kLeft : Remains::kPerhaps;
}

}  // namespace pytriton
