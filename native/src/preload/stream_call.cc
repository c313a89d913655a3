// SPDX-License-Identifier: Apache-2.0
#include "preload/stream_call.h"

#include <pthread.h>
#include <time.h>

#include <cstdlib>
#include <new>

namespace pytriton {

namespace {

constexpr int64_t kFirstWaitNs = 250'000;  // until the next look at what is on its way out
constexpr int64_t kLongestWaitNs = 20'000'000;
constexpr int64_t kSettledNs = 20'000'000;        // until what was on its way at a cancellation is dealt with
constexpr int64_t kCancellationNs = 100'000'000;  // the longest that one takes to be dealt with

int64_t Now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

// Last calls that are made later, by a thread of their own.
class LastCalls {
 public:
  void Add(StreamCall* call, int64_t wait_ns, void* response, uint32_t flags, bool again);
  bool IsEmpty();

 private:
  struct Task {
    int64_t due_ns;
    int64_t wait_ns;
    StreamCall* call;
    void* response;
    uint32_t flags;
    bool again;
    Task* next;
  };

  static void* Work(void* self);
  static bool Run(Task& task, int64_t now);
  void Insert(Task* task);
  void WaitForNews(int64_t left_ns);

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t news_ = PTHREAD_COND_INITIALIZER;
  bool is_started_ = false;
  bool is_busy_ = false;   // with a task that is not among them
  Task* first_ = nullptr;  // the next one that is due
};

namespace {

constinit LastCalls last_calls;

}  // namespace

void LastCalls::Add(StreamCall* call, int64_t wait_ns, void* response, uint32_t flags, bool again) {
  auto* const task = static_cast<Task*>(std::malloc(sizeof(Task)));
  if (task == nullptr) {
    std::abort();  // as the server itself does
  }
  call->Hold();
  *task = {Now() + wait_ns, wait_ns, call, response, flags, again, nullptr};
  pthread_mutex_lock(&mutex_);
  if (!is_started_) {
    pthread_t thread;
    is_started_ = pthread_create(&thread, nullptr, Work, this) == 0 && pthread_detach(thread) == 0;
  }
  Insert(task);
  pthread_cond_signal(&news_);
  pthread_mutex_unlock(&mutex_);
}

bool LastCalls::IsEmpty() {
  pthread_mutex_lock(&mutex_);
  const bool is_empty = first_ == nullptr && !is_busy_;
  pthread_mutex_unlock(&mutex_);
  return is_empty;
}

void LastCalls::Insert(Task* task) {
  Task** place = &first_;
  while (*place != nullptr && (*place)->due_ns <= task->due_ns) {
    place = &(*place)->next;
  }
  task->next = *place;
  *place = task;
}

void LastCalls::WaitForNews(int64_t left_ns) {
  timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  const int64_t at = until.tv_nsec + left_ns;
  until = {until.tv_sec + at / 1'000'000'000, at % 1'000'000'000};
  pthread_cond_timedwait(&news_, &mutex_, &until);
}

// Whether the task is done; if not, it is to be run again when it is due.
bool LastCalls::Run(Task& task, int64_t now) {
  if (task.again) {
    task.call->EndAgain();
    return true;
  }
  switch (task.call->End(task.response, task.flags)) {
    case StreamCall::Ending::kTooEarly:
      task.wait_ns = task.wait_ns < kLongestWaitNs ? task.wait_ns / 2 * 3 : kLongestWaitNs;
      task.due_ns = now + task.wait_ns;
      return false;
    case StreamCall::Ending::kOnceMore:
      task.again = true;
      task.due_ns = now + kSettledNs;
      return false;
    case StreamCall::Ending::kDone:
      break;
  }
  return true;
}

void* LastCalls::Work(void* self) {
  LastCalls& calls = *static_cast<LastCalls*>(self);
  pthread_mutex_lock(&calls.mutex_);
  while (true) {
    if (calls.first_ == nullptr) {
      pthread_cond_wait(&calls.news_, &calls.mutex_);
      continue;
    }
    const int64_t now = Now();
    if (calls.first_->due_ns > now) {
      calls.WaitForNews(calls.first_->due_ns - now);
      continue;
    }
    Task* const task = calls.first_;
    calls.first_ = task->next;
    calls.is_busy_ = true;
    pthread_mutex_unlock(&calls.mutex_);
    const bool is_done = Run(*task, now);
    if (is_done) {
      task->call->Release();
      std::free(task);
    }
    pthread_mutex_lock(&calls.mutex_);
    calls.is_busy_ = false;
    if (!is_done) {
      calls.Insert(task);
    }
  }
}

StreamCall* StreamCall::New(void* request, Complete complete, void* payload) {
  void* const memory = std::malloc(sizeof(StreamCall));
  return memory == nullptr ? nullptr : new (memory) StreamCall(request, complete, payload);
}

void StreamCall::Release() {
  if (--references_ == 0) {
    this->~StreamCall();
    std::free(this);
  }
}

void StreamCall::OnComplete(void* response, uint32_t flags, void* call) {
  StreamCall& self = *static_cast<StreamCall*>(call);
  if ((flags & kFinal) == 0) {
    self.complete_(response, flags, self.payload_);
    self.has_responded_ = true;
    return;
  }
  self.Hold();  // the front end may delete the request on the way
  switch (self.End(response, flags)) {
    case Ending::kTooEarly:
      last_calls.Add(&self, kFirstWaitNs, response, flags, false);
      break;
    case Ending::kOnceMore:
      last_calls.Add(&self, kSettledNs, nullptr, kFinal, true);
      break;
    case Ending::kDone:
      break;
  }
  self.Release();
}

void StreamCall::BeginCancel() {
  cancelled_ns_ = Now();  // before the backend can know
}

void StreamCall::EndCancel() {
  Progress ended = Progress::kEnded;
  if (has_responded_ && progress_.compare_exchange_strong(ended, Progress::kReleased)) {
    last_calls.Add(this, kSettledNs, nullptr, kFinal, true);
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

StreamCall::Ending StreamCall::End(void* response, uint32_t flags) {
  CallState state = state_;
  if (!state.TryLock()) {
    return Ending::kTooEarly;
  }
  Ending ending = Ending::kTooEarly;
  if (MayEnd(Now())) {
    complete_(response, flags, payload_);
    ending = Ending::kDone;
    if (state.step() == Step::kCancelled && !state.IsCancelled()) {
      // A cancellation has come in between. Its handling would let go what the call has promised to let go.
      state.SetStep(Step::kCancellationIssued);
      ending = Ending::kOnceMore;
    }
    progress_ = ending == Ending::kDone ? Progress::kEnded : Progress::kReleased;
  }
  state.Unlock();
  return ending;
}

// The front end's state waits for this, and for nothing else.
void StreamCall::EndAgain() {
  CallOnceMore(complete_, state_);
}

void AwaitLastCalls(int64_t timeout_ns) {
  constexpr timespec kMoment{0, 1'000'000};
  for (const int64_t until = Now() + timeout_ns; !last_calls.IsEmpty() && Now() < until;) {
    nanosleep(&kMoment, nullptr);
  }
}

}  // namespace pytriton
