// SPDX-License-Identifier: Apache-2.0
#include "core/worker_memory.h"

#include <string>
#include <utility>

namespace pytriton {

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

Failure WorkerMemory::Refusal::AsFailure(uint64_t length, size_t batches) const {
  std::string text = "no shared memory left for a batch of " + std::to_string(length) + " bytes: ";
  if (length > limit) {
    text += "it needs more than the limit; ";
  }
  const std::string use = std::to_string(used) + " of " + std::to_string(limit) + " bytes";
  switch (which) {
    case Limit::kWorker:
      return Failure(
          Code::kUnavailable,
          text + use + " are in use by " + std::to_string(batches) +
              " batches that are in work or whose arrays the function still keeps; keep copies of the "
              "arrays, or raise ModelConfig(worker_shared_memory_bytes=...)");
    case Limit::kModel:
      return Failure(Code::kUnavailable,
                     text + use +
                         " are in use by the workers of this model; send fewer or smaller requests "
                         "at a time, or raise ModelConfig(shared_memory_bytes=...)");
    default:
      return Failure(Code::kUnavailable,
                     text + use +
                         " are in use by all models together; send fewer or smaller requests at a "
                         "time, or raise Limits(shared_memory_bytes=...)");
  }
}

std::optional<Block> WorkerMemory::Take(uint64_t length, Refusal& refusal) {
  std::optional<Block> block = TryTake(length, refusal);
  if (!block && refusal.which != Limit::kWorker) {
    budget_->Reclaim();
    block = TryTake(length, refusal);
  }
  return block;
}

std::optional<Block> WorkerMemory::TryTake(uint64_t length, Refusal& refusal) {
  const std::unique_lock lock(mutex_);
  const uint64_t top = allocator_.TopAfter(length);
  if (top == 0) {
    // A worker may have all that its budget has: then that is the limit to name.
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
