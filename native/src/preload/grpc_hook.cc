// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the bundled server, in front of its own functions that its gRPC front end calls: what that
// does with calls that are cancelled as they end is put right. See stream_call.h and unary_call.h.
#include "preload/grpc_hook.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "preload/call.h"
#include "preload/call_state.h"
#include "preload/call_table.h"
#include "preload/hook.h"
#include "preload/stream_call.h"
#include "preload/unary_call.h"
#include "preload/unary_calls.h"

namespace {

using pytriton::Complete;
using pytriton::Step;
using pytriton::StreamCall;
using pytriton::unary_calls;
using pytriton::UnaryCall;

using AllocatorNew = void* (*)(void** allocator, void* allocate, void* release, void* start);
using SetReleaseCallback = void* (*)(void* request, UnaryCall::Released released, void* payload);
using SetResponseCallback = void* (*)(void* request, void* allocator, void* allocator_payload,
                                      Complete complete, void* payload);
using InferAsync = void* (*)(void* server, void* request, void* trace);
using OfRequest = void* (*)(void* request);
using OfServer = void* (*)(void* server);

constexpr char kMend[] = "PYTRITON_MEND_GRPC";  // where the layout of call_state.h is the server's
constexpr int64_t kStopNs = 200'000'000;
constexpr size_t kAllocators = 8;

constinit pytriton::CallTable<StreamCall> stream_calls;

// Those of the gRPC front end.
std::atomic<void*> allocators[kAllocators];

// What a front end has set last, before the callback for responses.
struct ReleaseCallback {
  void* request;
  UnaryCall::Released released;
  void* payload;
};
thread_local ReleaseCallback release_callback{nullptr, nullptr, nullptr};

constinit pytriton::Real<AllocatorNew> allocator_new("TRITONSERVER_ResponseAllocatorNew");
constinit pytriton::Real<SetReleaseCallback> set_release_callback(
    "TRITONSERVER_InferenceRequestSetReleaseCallback");
constinit pytriton::Real<SetResponseCallback> set_response_callback(
    "TRITONSERVER_InferenceRequestSetResponseCallback");
constinit pytriton::Real<InferAsync> infer_async("TRITONSERVER_ServerInferAsync");
constinit pytriton::Real<OfRequest> cancel("TRITONSERVER_InferenceRequestCancel");
constinit pytriton::Real<OfServer> server_stop("TRITONSERVER_ServerStop");

bool IsMended() {
  return allocators[0].load(std::memory_order_relaxed) != nullptr;
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

// Null without memory: then the call is left to itself.
UnaryCall* NewUnaryCall(void* request, Complete complete, void* payload) {
  const ReleaseCallback& release = release_callback;
  return release.request == request
             ? UnaryCall::New(request, complete, payload, release.released, release.payload)
             : nullptr;
}

void* BeginUnary(UnaryCall* call, void* allocator, void* allocator_payload) {
  void* error =
      set_response_callback(call->request, allocator, allocator_payload, UnaryCall::OnComplete, call);
  if (error != nullptr) {
    call->Release();
    return error;
  }
  error = set_release_callback(call->request, UnaryCall::OnReleased, call);
  if (error != nullptr) {  // the request, which refers to the call, is deleted without having been sent
    return error;
  }
  unary_calls.Add(call);
  return nullptr;
}

void* BeginStream(StreamCall* call, void* allocator, void* allocator_payload) {
  void* const error =
      set_response_callback(call->request, allocator, allocator_payload, StreamCall::OnComplete, call);
  if (error != nullptr) {
    call->Release();
    return error;
  }
  stream_calls.Add(call);
  return nullptr;
}

}  // namespace

namespace pytriton {

void ForgetCall(const void* request) {
  if (IsMended()) {
    stream_calls.Remove(request);
    unary_calls.Remove(request);
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

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestSetReleaseCallback(void* request,
                                                                      UnaryCall::Released released,
                                                                      void* payload) {
  release_callback = {request, released, payload};
  return set_release_callback(request, released, payload);
}

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestSetResponseCallback(void* request, void* allocator,
                                                                       void* allocator_payload,
                                                                       Complete complete, void* payload) {
  if (IsOfGrpc(allocator)) {
    const Step step = pytriton::CallState(*static_cast<void**>(payload)).step();
    if (step == Step::kRead) {
      if (StreamCall* const call = StreamCall::New(request, complete, payload)) {
        return BeginStream(call, allocator, allocator_payload);
      }
    } else if (step == Step::kStart) {
      if (UnaryCall* const call = NewUnaryCall(request, complete, payload)) {
        return BeginUnary(call, allocator, allocator_payload);
      }
    }
  }
  return set_response_callback(request, allocator, allocator_payload, complete, payload);
}

PYTRITON_EXPORT void* TRITONSERVER_ServerInferAsync(void* server, void* request, void* trace) {
  UnaryCall::issuing = request;
  void* const error = infer_async(server, request, trace);
  UnaryCall::issuing = nullptr;
  if (error != nullptr && IsMended()) {
    if (UnaryCall* const call = unary_calls.Find(request)) {
      call->SetRefused();
      call->Release();
      unary_calls.Watch();
    }
  }
  return error;
}

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestCancel(void* request) {
  StreamCall* const call = stream_calls.Find(request);
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
  unary_calls.Stop(kStopNs);
  return error;
}
