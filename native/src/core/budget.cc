// SPDX-License-Identifier: Apache-2.0
#include "core/budget.h"

#include <algorithm>

namespace pytriton {

bool Budget::ChargeHere(uint64_t bytes) {
  uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes > limit_ || used > limit_ - bytes) {
      return false;
    }
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

const Budget* Budget::Charge(uint64_t bytes) {
  if (!ChargeHere(bytes)) {
    return this;
  }
  if (parent_ != nullptr) {
    if (const Budget* const refused = parent_->Charge(bytes)) {
      used_.fetch_sub(bytes, std::memory_order_relaxed);
      return refused;
    }
  }
  return nullptr;
}

void Budget::Refund(uint64_t bytes) {
  used_.fetch_sub(bytes, std::memory_order_relaxed);
  if (parent_ != nullptr) {
    parent_->Refund(bytes);
  }
}

const Budget* Budget::WithLimitUpTo(uint64_t bytes) const {
  if (limit_ <= bytes) {
    return this;
  }
  return parent_ == nullptr ? nullptr : parent_->WithLimitUpTo(bytes);
}

const Budget& Budget::Lowest() const {
  if (parent_ == nullptr) {
    return *this;
  }
  const Budget& above = parent_->Lowest();
  return above.limit_ <= limit_ ? above : *this;
}

void Budget::Join(User& user) {
  if (parent_ != nullptr) {
    parent_->Join(user);
    return;
  }
  const std::unique_lock lock(mutex_);
  users_.push_back(&user);
}

void Budget::Leave(User& user) {
  if (parent_ != nullptr) {
    parent_->Leave(user);
    return;
  }
  const std::unique_lock lock(mutex_);
  users_.erase(std::remove(users_.begin(), users_.end(), &user), users_.end());
}

void Budget::Reclaim() {
  if (parent_ != nullptr) {
    parent_->Reclaim();
    return;
  }
  const std::unique_lock lock(mutex_);
  for (User* const user : users_) {
    user->GiveBack();
  }
}

}  // namespace pytriton
