// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "preload/call.h"
#include "preload/delayed_tasks.h"

namespace pytriton {

// A request of a unary gRPC call. What Triton 2.51 does with one that is cancelled as it is answered is put
// right (its infer_handler.h and infer_handler.cc; later versions do other things). Two threads of the front
// end take the events of calls: one for the answer, one for the end of the call, which may be a cancellation.
// The second of them has to release the request's state.
//
// - Where the callback comes when one of the threads knows of a cancellation and has not dealt with it,
//   either event releases the state, and the server dies of it. So the state is made to look as if it had
//   been answered, of which the second event releases it.
// - Where the answer is out before the other thread knows of the cancellation, neither event releases the
//   state, nor its request: the model cannot be unloaded. So those that are left are looked for.
class UnaryCall : public Call<UnaryCall> {
 public:
  using Released = void (*)(void* request, uint32_t flags, void* payload);

  // What is called in place of the front end's callbacks, with this as their payload.
  static void OnComplete(void* response, uint32_t flags, void* call);
  static void OnReleased(void* request, uint32_t flags, void* call);
  // The server has not taken the request, and calls none of them.
  void SetRefused();
  // The request that this thread is handing to the server: an answer that is known already comes within that,
  // and the front end, which has yet to note that the request is on its way, must not get it before.
  static thread_local const void* issuing;

  // For a look now and then, while the request cannot be deleted. What remains of a call that has been
  // answered is left if it is so for the second time.
  enum class Remains { kNone, kPerhaps, kLeft };
  Remains Look();

  UnaryCall* next_of_left = nullptr;  // of those that were found together

 private:
  friend class Call<UnaryCall>;

  UnaryCall(void* its_request, Complete complete, void* payload, Released released, void* released_payload)
      : Call(its_request, complete, payload),
        released_(released),
        released_payload_(released_payload),
        completion_{FinishLater, this} {}

  static int64_t FinishLater(void* call);
  void Finish(void* response, uint32_t flags);

  const Released released_;
  void* const released_payload_;
  void* response_ = nullptr;  // one that came before the end, or has to wait
  std::atomic<bool> is_answered_{false};
  // Only the front end's state holds the request: while there is the one, there is the other.
  std::atomic<bool> is_let_go_{false};
  bool has_finished_ = false;  // at the last look
  DelayedTask completion_;     // of an answer that has come too early
};

}  // namespace pytriton
