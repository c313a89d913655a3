// SPDX-License-Identifier: Apache-2.0
#include "backend/watch.h"

#include <chrono>

namespace pytriton {

namespace {

constexpr std::chrono::milliseconds kPeriod{5};
// Quiet rounds before the thread sleeps until something is added: waking it costs more than a round.
constexpr int kQuietRounds = 200;

}  // namespace

Watch::Watch() : thread_(&Watch::Run, this) {}

Watch::~Watch() {
  {
    const std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Watch::Add(Watched& watched) {
  const std::unique_lock lock(mutex_);
  watched_.push_back(&watched);
  watched.place_ = watched_.size() - 1;
  used_ = true;
  if (asleep_) {
    asleep_ = false;
    changed_.notify_all();
  }
}

void Watch::Remove(Watched& watched) {
  const std::unique_lock lock(mutex_);
  if (watched.place_ == Watched::kNowhere) {
    return;
  }
  watched_.back()->place_ = watched.place_;
  watched_[watched.place_] = watched_.back();
  watched_.pop_back();
  watched.place_ = Watched::kNowhere;
}

void Watch::Run() {
  std::unique_lock lock(mutex_);
  for (int quiet = 0; !stopping_;) {
    if (quiet > kQuietRounds) {
      asleep_ = true;
      changed_.wait(lock, [&] { return !asleep_ || stopping_; });
      quiet = 0;
      continue;
    }
    changed_.wait_for(lock, kPeriod, [&] { return stopping_; });
    for (Watched* const watched : watched_) {
      watched->Look();
    }
    quiet = watched_.empty() && !used_ ? quiet + 1 : 0;
    used_ = false;
  }
}

}  // namespace pytriton
