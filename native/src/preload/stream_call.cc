// SPDX-License-Identifier: Apache-2.0
#include "preload/stream_call.h"

#include "preload/clock.h"

namespace pytriton {

namespace {

constexpr int64_t kFirstWaitNs = 250'000;  // until the next look at what is on its way out
constexpr int64_t kLongestWaitNs = 20'000'000;
constexpr int64_t kSettledNs = 20'000'000;        // until what was on its way at a cancellation is dealt with
constexpr int64_t kCancellationNs = 100'000'000;  // the longest that one takes to be dealt with

constinit DelayedTasks last_calls;

}  // namespace

void StreamCall::OnComplete(void* response, uint32_t flags, void* call) {
  StreamCall& self = *static_cast<StreamCall*>(call);
  if ((flags & kFinal) == 0) {
    self.complete_(response, flags, self.payload_);
    self.has_responded_ = true;
    return;
  }
  self.Hold();  // the front end may delete the request on the way
  self.response_ = response;
  self.flags_ = flags;
  self.wait_ns_ = kFirstWaitNs;
  if (const int64_t wait_ns = self.End(); wait_ns != DelayedTask::kDone) {
    self.EndLater(wait_ns);
  }
  self.Release();
}

void StreamCall::EndLater(int64_t wait_ns) {
  Hold();
  last_calls.Add(end_, wait_ns);
}

int64_t StreamCall::Continue(void* call) {
  StreamCall& self = *static_cast<StreamCall*>(call);
  int64_t wait_ns = DelayedTask::kDone;
  if (self.progress_ == Progress::kReleased) {
    self.CompleteAgain();  // the front end's state waits for this, and for nothing else
  } else {
    wait_ns = self.End();
  }
  if (wait_ns == DelayedTask::kDone) {
    self.Release();
  }
  return wait_ns;
}

void StreamCall::BeginCancel() {
  cancelled_ns_ = Now();  // before the backend can know
}

void StreamCall::EndCancel() {
  Progress ended = Progress::kEnded;
  if (has_responded_ && progress_.compare_exchange_strong(ended, Progress::kReleased)) {
    EndLater(kSettledNs);
  }
}

bool StreamCall::MayEnd(int64_t now) {
  if (const int64_t cancelled_ns = cancelled_ns_) {
    return now >= cancelled_ns + kSettledNs;
  }
  if (state_.IsNotified()) {
    notified_ns_ = notified_ns_ == 0 ? now : notified_ns_;
    return now >= notified_ns_ + kCancellationNs;
  }
  return !has_responded_ || state_.step() == Step::kIssued;
}

// Makes the last call unless it is too early; as a task, says when there is more to do.
int64_t StreamCall::End() {
  CallState state = state_;
  if (!state.TryLock()) {
    return NextWait();
  }
  if (!MayEnd(Now())) {
    state.Unlock();
    return NextWait();
  }
  complete_(response_, flags_, payload_);
  // Whether a cancellation has come in between. Its handling would let go what the call has promised to let
  // go.
  const bool is_cancelled = state.step() == Step::kCancelled && !state.IsCancelled();
  if (is_cancelled) {
    state.SetStep(Step::kCancellationIssued);
  }
  progress_ =
      is_cancelled ? Progress::kReleased : Progress::kEnded;  // from here on it may be cancelled again
  state.Unlock();
  return is_cancelled ? kSettledNs : DelayedTask::kDone;
}

int64_t StreamCall::NextWait() {
  const int64_t wait_ns = wait_ns_;
  wait_ns_ = wait_ns < kLongestWaitNs ? wait_ns / 2 * 3 : kLongestWaitNs;
  return wait_ns;
}

void AwaitLastCalls(int64_t timeout_ns) {
  last_calls.Await(timeout_ns);
}

}  // namespace pytriton
