// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "pytriton/shm_layout.h"

namespace pytriton {

// Whose limit it is that stands in the way.
enum class Limit : uint32_t { kWorker = kLimitOfWorker, kModel = kLimitOfModel, kAll = kLimitOfAll };

// Bytes that several users may have together, and that are part of what a larger budget has. Thread-safe.
class Budget {
 public:
  // Has bytes of a budget, of which it may not need all.
  class User {
   public:
    virtual ~User() = default;
    // Returns what lies idle. Called from any thread, and not with locks of users held.
    virtual void GiveBack() = 0;
  };

  Budget(Limit which, uint64_t limit, std::shared_ptr<Budget> parent = nullptr)
      : which_(which), limit_(limit), parent_(std::move(parent)) {}

  // The budget that does not have so many bytes left, this one or one above it; none when they were charged.
  const Budget* Charge(uint64_t bytes);
  void Refund(uint64_t bytes);

  // The lowest budget that is no larger than so many bytes, of this one and those above it; none if none is.
  const Budget* WithLimitUpTo(uint64_t bytes) const;

  // Users of this budget and of those below it.
  void Join(User& user);
  void Leave(User& user);
  // Lets all users of the uppermost budget return what lies idle.
  void Reclaim();

  Limit which() const { return which_; }
  uint64_t limit() const { return limit_; }
  // Of this budget and those above it the one with the least limit; the uppermost of several, whose limit a
  // lower one may have taken over.
  const Budget& Lowest() const;
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  bool ChargeHere(uint64_t bytes);

  const Limit which_;
  const uint64_t limit_;
  const std::shared_ptr<Budget> parent_;
  std::atomic<uint64_t> used_{0};
  std::mutex mutex_;
  std::vector<User*> users_;  // of the uppermost budget; guarded by mutex_
};

}  // namespace pytriton
