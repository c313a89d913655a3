// SPDX-License-Identifier: Apache-2.0
#include "preload/delayed_tasks.h"

#include <pthread.h>
#include <time.h>

#include "preload/clock.h"

namespace pytriton {

bool DelayedTasks::Start() {
  pthread_mutex_lock(&mutex_);
  const bool is_started = StartThread();
  pthread_mutex_unlock(&mutex_);
  return is_started;
}

bool DelayedTasks::StartThread() {
  if (!is_started_) {
    pthread_t thread;
    is_started_ = pthread_create(&thread, nullptr, Work, this) == 0 && pthread_detach(thread) == 0;
  }
  return is_started_;
}

void DelayedTasks::Add(DelayedTask& task, int64_t wait_ns) {
  pthread_mutex_lock(&mutex_);
  StartThread();
  Insert(task, wait_ns);
  pthread_cond_signal(&news_);
  pthread_mutex_unlock(&mutex_);
}

void DelayedTasks::Insert(DelayedTask& task, int64_t wait_ns) {
  task.due_ns = Now() + wait_ns;
  DelayedTask** place = &first_;
  if (last_ != nullptr && last_->due_ns <= task.due_ns) {  // where all wait equally long, it is always so
    place = &last_->next;
  }
  while (*place != nullptr && (*place)->due_ns <= task.due_ns) {
    place = &(*place)->next;
  }
  task.next = *place;
  *place = &task;
  if (task.next == nullptr) {
    last_ = &task;
  }
}

bool DelayedTasks::IsEmpty() {
  pthread_mutex_lock(&mutex_);
  const bool is_empty = first_ == nullptr && !is_busy_;
  pthread_mutex_unlock(&mutex_);
  return is_empty;
}

void DelayedTasks::Await(int64_t timeout_ns) {
  constexpr timespec kMoment{0, 1'000'000};
  for (const int64_t until = Now() + timeout_ns; !IsEmpty() && Now() < until;) {
    nanosleep(&kMoment, nullptr);
  }
}

void DelayedTasks::WaitForNews(int64_t left_ns) {
  timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  const int64_t at = until.tv_nsec + left_ns;
  until = {until.tv_sec + at / kNsPerS, at % kNsPerS};
  pthread_cond_timedwait(&news_, &mutex_, &until);
}

void DelayedTasks::RunFirst() {
  DelayedTask& task = *first_;
  first_ = task.next;
  if (first_ == nullptr) {
    last_ = nullptr;
  }
  is_busy_ = true;
  pthread_mutex_unlock(&mutex_);
  const int64_t wait_ns = task.run(task.owner);
  pthread_mutex_lock(&mutex_);
  is_busy_ = false;
  if (wait_ns != DelayedTask::kDone) {
    Insert(task, wait_ns);
  }
}

void* DelayedTasks::Work(void* self) {
  DelayedTasks& tasks = *static_cast<DelayedTasks*>(self);
  pthread_mutex_lock(&tasks.mutex_);
  while (true) {
    if (tasks.first_ == nullptr) {
      pthread_cond_wait(&tasks.news_, &tasks.mutex_);
    } else if (const int64_t left_ns = tasks.first_->due_ns - Now(); left_ns > 0) {
      tasks.WaitForNews(left_ns);
    } else {
      tasks.RunFirst();
    }
  }
}

}  // namespace pytriton
