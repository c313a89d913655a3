// SPDX-License-Identifier: Apache-2.0
#include "unary_call.h"

#include <cstdlib>
#include <new>

#include "unary_calls.h"

namespace pytriton {

namespace {

constexpr uint32_t kReleaseAll = 1;  // TRITONSERVER_REQUEST_RELEASE_ALL

}  // namespace

thread_local const void* UnaryCall::issuing = nullptr;

UnaryCall* UnaryCall::New(void* request, Complete complete, void* payload, Released released,
                          void* released_payload) {
  void* const memory = std::malloc(sizeof(UnaryCall));
  return memory == nullptr ? nullptr
                           : new (memory) UnaryCall(request, complete, payload, released, released_payload);
}

void UnaryCall::Release() {
  if (--references_ == 0) {
    this->~UnaryCall();
    std::free(this);
  }
}

void UnaryCall::OnComplete(void* response, uint32_t flags, void* call) {
  UnaryCall& self = *static_cast<UnaryCall*>(call);
  const bool is_final = (flags & kFinal) != 0;
  if (!is_final && self.response_ == nullptr) {
    // It is sent at the end anyway; of a call that is cancelled in between, the front end would take one for
    // the other.
    self.response_ = response;
    return;
  }
  CallState state = self.state_;
  state.LockStep();
  if (response == nullptr) {
    response = self.response_;
  } else if (self.response_ != nullptr) {
    self.complete_(self.response_, 0, self.payload_);  // it says that there may be one only
  }
  self.response_ = nullptr;
  self.complete_(response, flags, self.payload_);
  self.is_answered_ = is_final;
  if (state.step() == Step::kCancelled && !state.IsCancelled()) {
    // Of one that is still being issued, the front end would not notice that it has been answered; it is
    // left.
    state.SetStep(issuing == self.request ? Step::kCancellationIssued : Step::kComplete);
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
  const Step step = is_let_go_ ? state_.step() : Step::kIssued;
  if (step != Step::kFinish && step != Step::kCancellationIssued) {
    may_be_left_ = false;
    return Remains::kPerhaps;
  }
  if (!may_be_left_) {
    may_be_left_ = true;
    return Remains::kPerhaps;
  }
  const bool is_left = step == Step::kCancellationIssued || (state_.HasContext() && state_.IsCancelled());
  return is_left ? Remains::kLeft : Remains::kPerhaps;
}

}  // namespace pytriton
