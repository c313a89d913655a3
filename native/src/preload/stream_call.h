// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "preload/call.h"
#include "preload/delayed_tasks.h"

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
class StreamCall : public Call<StreamCall> {
 public:
  // What is called in place of the front end's callback, with this as its payload.
  static void OnComplete(void* response, uint32_t flags, void* call);
  // Around the front end's cancelling of the request.
  void BeginCancel();
  void EndCancel();

 private:
  friend class Call<StreamCall>;
  enum class Progress { kOpen, kEnded, kReleased };

  StreamCall(void* its_request, Complete complete, void* payload)
      : Call(its_request, complete, payload), end_{Continue, this} {}

  static int64_t Continue(void* call);
  bool MayEnd(int64_t now);
  int64_t End();
  int64_t NextWait();
  void EndLater(int64_t wait_ns);

  std::atomic<bool> has_responded_{false};
  std::atomic<int64_t> cancelled_ns_{0};  // 0: not
  int64_t notified_ns_ = 0;               // since when a cancellation is known to come; 0: none
  std::atomic<Progress> progress_{Progress::kOpen};
  // Of the last call, until it has been made.
  void* response_ = nullptr;
  uint32_t flags_ = 0;
  int64_t wait_ns_ = 0;
  // The last call, or then the one more; never both at a time.
  DelayedTask end_;
};

// Waits for last calls that have to come later, for so long at most.
void AwaitLastCalls(int64_t timeout_ns);

}  // namespace pytriton
