// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the bundled server, in front of its own functions that its gRPC front end calls: what Triton
// 2.51 does with a stream that is cancelled as it ends is put right (its infer_handler.h and
// stream_infer_handler.cc; later versions do other things).
//
// - Where the last call of a request's callback comes while a response is on its way out, or while a
//   cancellation has come and is not dealt with, the stream's state is released twice, used again in between,
//   and the server dies of it. So the last call waits for both.
// - Of a stream that is cancelled after the last call, the front end waits for one more, and keeps its
// request
//   for ever: the model cannot be unloaded. So there is one more.
#include "stream_hook.h"

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "hook.h"
#include "stream_call.h"
#include "stream_state.h"

namespace {

using pytriton::StreamCall;

using AllocatorNew = void* (*)(void** allocator, void* allocate, void* release, void* start);
using SetCallback = void* (*)(void* request, void* allocator, void* allocator_payload,
                              StreamCall::Complete complete, void* payload);
using OfRequest = void* (*)(void* request);
using OfServer = void* (*)(void* server);

constexpr char kMend[] = "PYTRITON_MEND_STREAMS";  // where the layout of stream_state.h is the server's
constexpr int64_t kStopNs = 200'000'000;
constexpr size_t kBuckets = 1024;
constexpr size_t kAllocators = 8;

// Calls by their requests.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
StreamCall* calls[kBuckets];

// Those of the gRPC front end.
std::atomic<void*> allocators[kAllocators];

constinit pytriton::Real<AllocatorNew> allocator_new("TRITONSERVER_ResponseAllocatorNew");
constinit pytriton::Real<SetCallback> set_callback("TRITONSERVER_InferenceRequestSetResponseCallback");
constinit pytriton::Real<OfRequest> cancel("TRITONSERVER_InferenceRequestCancel");
constinit pytriton::Real<OfServer> server_stop("TRITONSERVER_ServerStop");

class Lock {
 public:
  Lock() { pthread_mutex_lock(&mutex); }
  ~Lock() { pthread_mutex_unlock(&mutex); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
};

// Where the call of a request is, or would be.
StreamCall** Find(const void* request) {
  StreamCall** place = &calls[(reinterpret_cast<uintptr_t>(request) >> 6) % kBuckets];
  while (*place != nullptr && (*place)->request != request) {
    place = &(*place)->next;
  }
  return place;
}

bool IsOfGrpc(const void* allocator) {
  for (const std::atomic<void*>& place : allocators) {
    const void* const known = place.load(std::memory_order_relaxed);
    if (known == allocator || known == nullptr) {
      return known != nullptr;
    }
  }
  return false;
}

}  // namespace

namespace pytriton {

void ForgetCall(const void* request) {
  if (allocators[0].load(std::memory_order_relaxed) == nullptr) {
    return;
  }
  StreamCall* call = nullptr;
  {
    const Lock lock;
    StreamCall** const place = Find(request);
    call = *place;
    if (call != nullptr) {
      *place = call->next;
    }
  }
  if (call != nullptr) {
    call->Release();
  }
}

}  // namespace pytriton

// The gRPC front end's have a function that starts a response, those of HTTP have none.
PYTRITON_EXPORT void* TRITONSERVER_ResponseAllocatorNew(void** allocator, void* allocate, void* release,
                                                        void* start) {
  void* const error = allocator_new(allocator, allocate, release, start);
  if (error != nullptr || start == nullptr || std::getenv(kMend) == nullptr) {
    return error;
  }
  for (std::atomic<void*>& place : allocators) {
    void* nothing = nullptr;
    if (place.compare_exchange_strong(nothing, *allocator)) {
      break;
    }
  }
  return nullptr;
}

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestSetResponseCallback(void* request, void* allocator,
                                                                       void* allocator_payload,
                                                                       StreamCall::Complete complete,
                                                                       void* payload) {
  StreamCall* call = nullptr;
  // Other calls of gRPC are at another step.
  if (IsOfGrpc(allocator) &&
      pytriton::StreamState(*static_cast<void**>(payload)).step() == pytriton::Step::kRead) {
    call = StreamCall::New(request, complete, payload);
  }
  if (call == nullptr) {
    return set_callback(request, allocator, allocator_payload, complete, payload);
  }
  void* const error = set_callback(request, allocator, allocator_payload, StreamCall::OnComplete, call);
  if (error != nullptr) {
    call->Release();
    return error;
  }
  const Lock lock;
  StreamCall** const place = Find(request);
  call->next = *place;
  *place = call;
  return nullptr;
}

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestCancel(void* request) {
  StreamCall* call = nullptr;
  {
    const Lock lock;
    call = *Find(request);
    if (call != nullptr) {
      call->Hold();
    }
  }
  if (call == nullptr) {
    return cancel(request);
  }
  call->BeginCancel();
  void* const error = cancel(request);
  call->EndCancel();
  call->Release();
  return error;
}

// What is still to be called needs the front ends, which are stopped next.
PYTRITON_EXPORT void* TRITONSERVER_ServerStop(void* server) {
  void* const error = server_stop(server);
  pytriton::AwaitLastCalls(kStopNs);
  return error;
}
