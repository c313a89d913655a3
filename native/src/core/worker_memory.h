// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "core/allocator.h"
#include "core/budget.h"
#include "core/failure.h"
#include "core/segment.h"

namespace pytriton {

// The shared memory of one worker: blocks of a segment, as long as the worker's limit and those of its budget
// allow. What was touched counts against the budget until it is given back to the system. Thread-safe.
class WorkerMemory final : public Budget::User {
 public:
  // Why there is no block.
  struct Refusal {
    Limit which = Limit::kWorker;
    uint64_t used = 0;
    uint64_t limit = 0;
    uint64_t need = 0;  // of the batch in all; above the limit, it never fits

    // What the requests of a batch are told.
    Failure AsFailure(size_t requests, size_t batches) const;
  };

  WorkerMemory(uint64_t limit, std::shared_ptr<Budget> budget);
  ~WorkerMemory() override;
  WorkerMemory(const WorkerMemory&) = delete;
  WorkerMemory& operator=(const WorkerMemory&) = delete;

  const Segment& segment() const { return segment_; }

  // Nothing, and why, when a limit stands in the way; memory of others that lies idle does not. What the
  // batch cannot do without counts for whether it could ever fit.
  std::optional<Block> Take(uint64_t length, Refusal& refusal, uint64_t held = 0);
  void Free(const Block& block);
  uint64_t in_use() const;

  // To be called every so often: gives back what has lain idle since.
  void GiveBackIdle();
  void GiveBack() override;

 private:
  Refusal LowestLimit() const;
  std::optional<Block> TryTake(uint64_t length, Refusal& refusal);
  void Punch(const std::map<uint64_t, uint64_t>& idle);

  Segment segment_;
  const std::shared_ptr<Budget> budget_;
  mutable std::mutex mutex_;
  Allocator allocator_;   // guarded by mutex_
  uint64_t charged_ = 0;  // guarded by mutex_
  int idle_rounds_ = 0;   // guarded by mutex_
};

}  // namespace pytriton
