// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "preload/call_state.h"

namespace pytriton {

// A request of a gRPC stream, whose callback is called for each response and, the last time, for its end.
// What Triton 2.51 does with a stream that is cancelled as it ends is put right (its infer_handler.h and
// stream_infer_handler.cc; later versions do other things).
//
// - Where the last call comes while a response is on its way out, or while a cancellation has come and is not
//   dealt with, the stream's state is released twice, used again in between, and the server dies of it. So
//   the last call waits for both.
// - Of a stream that is cancelled after the last call, the front end waits for one more, and keeps its
//   request for ever: the model cannot be unloaded. So there is one more.
class StreamCall {
 public:
  // Null without memory. The one reference is the caller's.
  static StreamCall* New(void* request, Complete complete, void* payload);
  void Hold() { ++references_; }
  void Release();

  // What is called in place of the front end's callback, with this as its payload.
  static void OnComplete(void* response, uint32_t flags, void* call);
  // Around the front end's cancelling of the request.
  void BeginCancel();
  void EndCancel();

  void* const request;
  StreamCall* next = nullptr;  // of those with the same hash

 private:
  friend class LastCalls;
  enum class Progress { kOpen, kEnded, kReleased };
  enum class Ending { kTooEarly, kDone, kOnceMore };

  StreamCall(void* its_request, Complete complete, void* payload)
      : request(its_request), complete_(complete), payload_(payload), state_(*static_cast<void**>(payload)) {}

  bool MayEnd(int64_t now);
  Ending End(void* response, uint32_t flags);
  void EndAgain();

  const Complete complete_;
  void* const payload_;  // the front end's, deleted by the last call; the state is its first member
  CallState state_;
  std::atomic<bool> has_responded_{false};
  std::atomic<int64_t> cancelled_ns_{0};  // 0: not
  int64_t notified_ns_ = 0;               // since when a cancellation is known to come; 0: none
  std::atomic<Progress> progress_{Progress::kOpen};
  std::atomic<int> references_{1};
};

// Waits for last calls that have to come later, for so long at most.
void AwaitLastCalls(int64_t timeout_ns);

}  // namespace pytriton
