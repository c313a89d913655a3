// SPDX-License-Identifier: Apache-2.0
#include "core/worker_memory.h"

#include <limits>
#include <string>
#include <utility>

namespace pytriton {

namespace {

std::string SettingOf(Limit which) {
  switch (which) {
    case Limit::kWorker:
      return "ModelConfig(worker_shared_memory_bytes=...)";
    case Limit::kModel:
      return "ModelConfig(shared_memory_bytes=...)";
    default:
      return "Limits(shared_memory_bytes=...)";
  }
}

uint64_t Sum(uint64_t one, uint64_t other) {
  uint64_t sum = 0;
  return __builtin_add_overflow(one, other, &sum) ? std::numeric_limits<uint64_t>::max() : sum;
}

}  // namespace

WorkerMemory::WorkerMemory(uint64_t limit, std::shared_ptr<Budget> budget)
    : segment_(limit), budget_(std::move(budget)), allocator_(limit) {
  if (budget_ != nullptr) {
    budget_->Join(*this);
  }
}

WorkerMemory::~WorkerMemory() {
  if (budget_ != nullptr) {
    budget_->Leave(*this);
    budget_->Refund(charged_);
  }
}

Failure WorkerMemory::Refusal::AsFailure(size_t requests, size_t batches) const {
  const std::string bytes = std::to_string(need) + " bytes";
  if (need > limit && requests == 1) {
    return Failure(Code::kInternal, "the request needs " + bytes + " of shared memory, and the limit is " +
                                        std::to_string(limit) + " bytes: it cannot be served; raise " +
                                        SettingOf(which) + ", or send smaller requests");
  }
  const std::string text = "no shared memory left for a batch of " + bytes + ": ";
  if (need > limit) {
    return Failure(Code::kUnavailable, text + "its " + std::to_string(requests) +
                                           " requests together need more than the limit of " +
                                           std::to_string(limit) +
                                           " bytes; send fewer or smaller requests at a time, lower "
                                           "ModelConfig(max_batch_size=...), or raise " +
                                           SettingOf(which));
  }
  const std::string use = std::to_string(used) + " of " + std::to_string(limit) + " bytes are in use by ";
  if (which == Limit::kWorker) {
    return Failure(Code::kUnavailable, text + use + std::to_string(batches) +
                                           " batches that are in work or whose arrays the function still "
                                           "keeps; keep copies of the arrays, or raise " +
                                           SettingOf(which));
  }
  const std::string users = which == Limit::kModel ? "the workers of this model" : "all models together";
  return Failure(
      Code::kUnavailable,
      text + use + users + "; send fewer or smaller requests at a time, or raise " + SettingOf(which));
}

std::optional<Block> WorkerMemory::Take(uint64_t length, Refusal& refusal, uint64_t held) {
  std::optional<Block> block = TryTake(length, refusal);
  if (!block && refusal.which != Limit::kWorker) {
    budget_->Reclaim();
    block = TryTake(length, refusal);
  }
  if (!block) {
    const Refusal lowest = LowestLimit();
    const uint64_t need = Allocator::Rounded(Sum(length, held));  // as one block, which takes the least
    if (need > lowest.limit) {
      refusal = lowest;
    }
    refusal.need = need;
  }
  return block;
}

// A worker may have all that its budget has: then that is the limit to name.
WorkerMemory::Refusal WorkerMemory::LowestLimit() const {
  if (budget_ != nullptr) {
    const Budget& lowest = budget_->Lowest();
    if (lowest.limit() <= segment_.size()) {
      return {lowest.which(), lowest.used(), lowest.limit()};
    }
  }
  return {Limit::kWorker, in_use(), segment_.size()};
}

std::optional<Block> WorkerMemory::TryTake(uint64_t length, Refusal& refusal) {
  const std::unique_lock lock(mutex_);
  const uint64_t top = allocator_.TopAfter(length);
  if (top == 0) {
    // Here too: the limit that the worker reaches first.
    const Budget* const budget = budget_ == nullptr ? nullptr : budget_->WithLimitUpTo(segment_.size());
    refusal = budget == nullptr ? Refusal{Limit::kWorker, allocator_.in_use(), segment_.size()}
                                : Refusal{budget->which(), budget->used(), budget->limit()};
    return std::nullopt;
  }
  if (budget_ != nullptr && top > charged_) {
    if (const Budget* const refused = budget_->Charge(top - charged_)) {
      refusal = {refused->which(), refused->used(), refused->limit()};
      return std::nullopt;
    }
    charged_ = top;
  }
  idle_rounds_ = 0;
  return allocator_.Allocate(length);
}

void WorkerMemory::Free(const Block& block) {
  const std::unique_lock lock(mutex_);
  allocator_.Free(block);
  idle_rounds_ = 0;
}

uint64_t WorkerMemory::in_use() const {
  const std::unique_lock lock(mutex_);
  return allocator_.in_use();
}

void WorkerMemory::GiveBackIdle() {
  const std::unique_lock lock(mutex_);
  // The first quiet round gives back what lies above the peak, the second one the rest; then there is
  // nothing left.
  if (idle_rounds_ == 2) {
    return;
  }
  ++idle_rounds_;
  Punch(allocator_.TakeIdle());
}

void WorkerMemory::GiveBack() {
  const std::unique_lock lock(mutex_);
  Punch(allocator_.TakeFree());
}

// Under the lock, so that no batch is gathered into pages about to vanish.
void WorkerMemory::Punch(const std::map<uint64_t, uint64_t>& idle) {
  for (const auto& [offset, length] : idle) {
    segment_.GiveBack(offset, length);
  }
  const uint64_t touched = allocator_.touched();
  if (budget_ != nullptr && touched < charged_) {
    budget_->Refund(charged_ - touched);
    charged_ = touched;
  }
}

}  // namespace pytriton
