// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the bundled server, in front of its own functions that its gRPC front end calls: what Triton
// 2.51 does with a stream that is cancelled as it ends is put right (infer_handler.h,
// stream_infer_handler.cc; later versions do other things).
//
// - Where the last call of a request's callback comes while a response is on its way out, or while a
//   cancellation has come and is not dealt with, the stream's state is released twice, used again in between,
//   and the server dies of it. So the last call waits for both.
// - Of a stream that is cancelled after the last call, the front end waits for one more, and keeps the
// request
//   for ever: the model cannot be unloaded. So there is one more.
#include <pthread.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "hook.h"

namespace {

using Complete = void (*)(void* response, uint32_t flags, void* payload);
using AllocatorNew = void* (*)(void** allocator, void* allocate, void* release, void* start);
using SetCallback = void* (*)(void* request, void* allocator, void* allocator_payload, Complete complete,
                              void* payload);
using OfRequest = void* (*)(void* request);
using OfServer = void* (*)(void* server);

constexpr uint32_t kFinal = 1;             // TRITONSERVER_RESPONSE_COMPLETE_FINAL
constexpr int64_t kFirstWaitNs = 250'000;  // until the next look at what is on its way out
constexpr int64_t kLongestWaitNs = 20'000'000;
constexpr int64_t kSettledNs = 20'000'000;        // until what was on its way at a cancellation is dealt with
constexpr int64_t kCancellationNs = 100'000'000;  // the longest that one takes to be dealt with
// The front end's state and its context, as they are in the bundled server for x86-64.
constexpr size_t kContextOffset = 16;
constexpr size_t kStepOffset = 32;
constexpr size_t kMutexOffset = 40;
constexpr size_t kContextMutexOffset = 32;
constexpr size_t kContextStepOffset = 336;
constexpr size_t kNotifiedOffset = 352;     // in the context: a cancellation has come
constexpr int32_t kIssued = 3;              // nothing is on its way out
constexpr int32_t kRead = 4;                // the request of a stream has been read
constexpr int32_t kCancellationIssued = 8;  // waits for the last call
constexpr int32_t kCancelled = 9;           // goes at its next event
constexpr size_t kBuckets = 1024;
constexpr size_t kAllocators = 8;

enum class Progress { kOpen, kEnding, kEnded, kReleased };

// A request of a gRPC stream.
struct Call {
  void* request;
  Complete complete;
  void* payload;  // the front end's, deleted by the last call
  void* state;    // the front end's, first in the payload
  std::atomic<bool> has_responded{false};
  std::atomic<int64_t> cancelled_ns{0};  // 0: not
  int64_t notified_ns = 0;               // since when that is known to come; 0: not
  std::atomic<Progress> progress{Progress::kOpen};
  std::atomic<int> references{1};
  Call* next = nullptr;  // in its bucket
};

// The front end's ResponseReleasePayload: a state, and a vector, which is empty.
struct Payload {
  void* state;
  void* regions[3];
};

// A last call that is made later.
struct Task {
  int64_t due_ns;
  int64_t wait_ns;
  Call* call;
  void* response;
  uint32_t flags;
  bool again;
  Task* next;
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t news = PTHREAD_COND_INITIALIZER;
pthread_once_t once = PTHREAD_ONCE_INIT;
Call* calls[kBuckets];
Task* tasks = nullptr;  // the next one first
bool is_busy = false;   // with a task that is no longer among them
std::atomic<void*> allocators[kAllocators];

constinit pytriton::Real<AllocatorNew> allocator_new("TRITONSERVER_ResponseAllocatorNew");
constinit pytriton::Real<SetCallback> set_callback("TRITONSERVER_InferenceRequestSetResponseCallback");
constinit pytriton::Real<OfRequest> cancel("TRITONSERVER_InferenceRequestCancel");
constinit pytriton::Real<OfServer> server_stop("TRITONSERVER_ServerStop");

int64_t Now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

class Lock {
 public:
  Lock() { pthread_mutex_lock(&mutex); }
  ~Lock() { pthread_mutex_unlock(&mutex); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
};

void Release(Call* call) {
  if (--call->references == 0) {
    call->~Call();
    std::free(call);
  }
}

Call** Find(const void* request) {
  Call** place = &calls[(reinterpret_cast<uintptr_t>(request) >> 6) % kBuckets];
  while (*place != nullptr && (*place)->request != request) {
    place = &(*place)->next;
  }
  return place;
}

template <typename T>
T Peek(const void* base, size_t offset) {
  return __atomic_load_n(reinterpret_cast<const T*>(static_cast<const char*>(base) + offset),
                         __ATOMIC_ACQUIRE);
}

int32_t StepOf(const void* state) {
  return Peek<int32_t>(state, kStepOffset);
}

pthread_mutex_t* MutexOf(void* base, size_t offset) {
  return reinterpret_cast<pthread_mutex_t*>(static_cast<char*>(base) + offset);
}

// Whether the last call may be made now.
bool MayEnd(Call& call, const void* context, int64_t now) {
  if (const int64_t cancelled_ns = call.cancelled_ns) {
    return now >= cancelled_ns + kSettledNs;
  }
  if (Peek<uint8_t>(context, kNotifiedOffset) != 0) {
    call.notified_ns = call.notified_ns == 0 ? now : call.notified_ns;
    return now >= call.notified_ns + kCancellationNs;
  }
  return !call.has_responded || StepOf(call.state) == kIssued;
}

// Makes the last call; false if that is too early. True, and `again`, if there has to be one more: a
// cancellation has come in between, whose handling would let the state go that this call has promised to.
bool End(Call& call, void* response, uint32_t flags, bool& again) {
  void* const context = Peek<void*>(call.state, kContextOffset);
  pthread_mutex_t* const context_mutex = MutexOf(context, kContextMutexOffset);
  pthread_mutex_t* const state_mutex = MutexOf(call.state, kMutexOffset);
  // The front end takes them in either order; the call takes them, too, which may be taken more than once.
  if (pthread_mutex_trylock(context_mutex) != 0) {
    return false;
  }
  if (pthread_mutex_trylock(state_mutex) != 0) {
    pthread_mutex_unlock(context_mutex);
    return false;
  }
  const bool may_end = MayEnd(call, context, Now());
  if (may_end) {
    call.progress = Progress::kEnding;
    call.complete(response, flags, call.payload);
    again = StepOf(call.state) == kCancelled && Peek<int32_t>(context, kContextStepOffset) != kCancelled;
    if (again) {
      *reinterpret_cast<int32_t*>(static_cast<char*>(call.state) + kStepOffset) = kCancellationIssued;
    }
    call.progress = again ? Progress::kReleased : Progress::kEnded;
  }
  pthread_mutex_unlock(state_mutex);
  pthread_mutex_unlock(context_mutex);
  return may_end;
}

// The front end's state waits for this, and for nothing else; it deletes the payload.
void EndAgain(Call& call) {
  if (auto* const payload = static_cast<Payload*>(std::calloc(1, sizeof(Payload)))) {
    payload->state = call.state;
    call.complete(nullptr, kFinal, payload);
  }
}

void Insert(Task* task) {
  Task** place = &tasks;
  while (*place != nullptr && (*place)->due_ns <= task->due_ns) {
    place = &(*place)->next;
  }
  task->next = *place;
  *place = task;
}

void WaitForNews(int64_t left_ns) {
  timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  const int64_t at = until.tv_nsec + left_ns;
  until = {until.tv_sec + at / 1'000'000'000, at % 1'000'000'000};
  pthread_cond_timedwait(&news, &mutex, &until);
}

// Whether the task is done; if not, it is to be run again when it is due.
bool Run(Task& task, int64_t now) {
  if (task.again) {
    EndAgain(*task.call);
    return true;
  }
  bool again = false;
  if (!End(*task.call, task.response, task.flags, again)) {
    task.wait_ns = task.wait_ns < kLongestWaitNs ? task.wait_ns / 2 * 3 : kLongestWaitNs;
    task.due_ns = now + task.wait_ns;
    return false;
  }
  task.again = again;
  task.due_ns = now + kSettledNs;
  return !again;
}

void* Work(void* /*nothing*/) {
  pthread_mutex_lock(&mutex);
  while (true) {
    if (tasks == nullptr) {
      pthread_cond_wait(&news, &mutex);
      continue;
    }
    const int64_t now = Now();
    if (tasks->due_ns > now) {
      WaitForNews(tasks->due_ns - now);
      continue;
    }
    Task* const task = tasks;
    tasks = task->next;
    is_busy = true;
    pthread_mutex_unlock(&mutex);
    const bool is_done = Run(*task, now);
    pthread_mutex_lock(&mutex);
    is_busy = false;
    if (is_done) {
      Release(task->call);
      std::free(task);
    } else {
      Insert(task);
    }
  }
}

void Start() {
  pthread_t thread;
  if (pthread_create(&thread, nullptr, Work, nullptr) == 0) {
    pthread_detach(thread);
  }
}

void Defer(Call* call, int64_t wait_ns, void* response, uint32_t flags, bool again) {
  auto* const task = static_cast<Task*>(std::malloc(sizeof(Task)));
  if (task == nullptr) {
    std::abort();
  }
  *task = {Now() + wait_ns, wait_ns, call, response, flags, again, nullptr};
  ++call->references;
  pthread_once(&once, Start);
  const Lock lock;
  Insert(task);
  pthread_cond_signal(&news);
}

void OnComplete(void* response, uint32_t flags, void* payload) {
  Call* const call = static_cast<Call*>(payload);
  if ((flags & kFinal) == 0) {
    call->complete(response, flags, call->payload);
    call->has_responded = true;
    return;
  }
  ++call->references;  // the front end may delete the request on the way
  bool again = false;
  if (!End(*call, response, flags, again)) {
    Defer(call, kFirstWaitNs, response, flags, false);
  } else if (again) {
    Defer(call, kSettledNs, nullptr, kFinal, true);
  }
  Release(call);
}

}  // namespace

namespace pytriton {

void ForgetCall(const void* request) {
  if (allocators[0].load(std::memory_order_relaxed) == nullptr) {
    return;
  }
  Call* call = nullptr;
  {
    const Lock lock;
    Call** const place = Find(request);
    call = *place;
    if (call != nullptr) {
      *place = call->next;
    }
  }
  if (call != nullptr) {
    Release(call);
  }
}

}  // namespace pytriton

// The gRPC front end's have a function that starts a response, those of HTTP have none.
PYTRITON_EXPORT void* TRITONSERVER_ResponseAllocatorNew(void** allocator, void* allocate, void* release,
                                                        void* start) {
  void* const error = allocator_new(allocator, allocate, release, start);
  if (error == nullptr && start != nullptr && std::getenv("PYTRITON_MEND_STREAMS") != nullptr) {
    for (std::atomic<void*>& place : allocators) {
      void* nothing = nullptr;
      if (place.compare_exchange_strong(nothing, *allocator)) {
        break;
      }
    }
  }
  return error;
}

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestSetResponseCallback(void* request, void* allocator,
                                                                       void* allocator_payload,
                                                                       Complete complete, void* payload) {
  for (const std::atomic<void*>& place : allocators) {
    void* const known = place.load(std::memory_order_relaxed);
    if (known == nullptr) {
      break;
    }
    if (known != allocator) {
      continue;
    }
    void* const state = *static_cast<void**>(payload);
    if (StepOf(state) != kRead) {  // of a call that is no stream
      break;
    }
    void* const memory = std::malloc(sizeof(Call));
    if (memory == nullptr) {
      break;
    }
    auto* const call = new (memory) Call;
    call->request = request;
    call->complete = complete;
    call->payload = payload;
    call->state = state;
    void* const error = set_callback(request, allocator, allocator_payload, OnComplete, call);
    if (error != nullptr) {
      Release(call);
      return error;
    }
    const Lock lock;
    Call** const place_of_call = Find(request);
    call->next = *place_of_call;
    *place_of_call = call;
    return nullptr;
  }
  return set_callback(request, allocator, allocator_payload, complete, payload);
}

PYTRITON_EXPORT void* TRITONSERVER_InferenceRequestCancel(void* request) {
  Call* call = nullptr;
  {
    const Lock lock;
    call = *Find(request);
    if (call != nullptr) {
      ++call->references;
    }
  }
  if (call == nullptr) {
    return cancel(request);
  }
  call->cancelled_ns = Now();  // before the backend can know
  void* const error = cancel(request);
  Progress ended = Progress::kEnded;
  if (call->has_responded && call->progress.compare_exchange_strong(ended, Progress::kReleased)) {
    Defer(call, kSettledNs, nullptr, kFinal, true);
  }
  Release(call);
  return error;
}

// What is still to be called needs the front ends, which are stopped next.
PYTRITON_EXPORT void* TRITONSERVER_ServerStop(void* server) {
  void* const error = server_stop(server);
  constexpr timespec kMoment{0, 1'000'000};
  while (true) {
    {
      const Lock lock;
      if (tasks == nullptr && !is_busy) {
        return error;
      }
    }
    nanosleep(&kMoment, nullptr);
  }
}
