// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backlog.h"
#include "backend/gather.h"
#include "backend/model.h"
#include "backend/watch.h"
#include "core/link.h"

namespace pytriton {

// The requests that Triton gave an instance to run together, from then until each is answered and given back.
class Batch final : public Task, private Watched {
 public:
  Batch(Model& model, TRITONBACKEND_ModelInstance* instance,
        std::span<TRITONBACKEND_Request* const> requests);
  ~Batch() override;

  // Whether every request turned out to be unfit.
  bool empty() const { return requests_.empty(); }

  size_t requests() const { return requests_.size(); }

  uint64_t BlockSize() const { return gather_.BlockSize(); }
  // Room for the results beside the inputs, as far as one can tell.
  uint64_t ResultRoom() const;
  void CopyInputs(const Link::Reservation& reservation);

  void OnPosted(Link& link, uint64_t slot) override;
  void OnResult(const SlotView& slot, const Message& message) override;
  void OnFailure(const Failure& failure) override;

 private:
  static std::vector<BatchRequest> Own(std::span<TRITONBACKEND_Request* const> requests);
  void Unwatch();
  void MarkCancelled(size_t index) noexcept;
  void Look() noexcept override;
  void LimitBacklog(uint64_t sent);
  bool CountStreamMemory(uint64_t held) noexcept;
  void ReportResponses(uint64_t sent_ns) noexcept;
  uint64_t TakeResult(const SlotView& slot, const Message& message);
  void Report(const BatchRequest& request, uint64_t end_ns) noexcept;
  void Report() noexcept;

  Model& model_;
  TRITONBACKEND_ModelInstance* instance_;
  const uint64_t exec_start_ns_;
  uint64_t compute_start_ns_ = 0;
  uint64_t compute_end_ns_ = 0;
  std::vector<BatchRequest> requests_;
  const Gather gather_;  // after the requests, which it reads
  uint64_t rows_ = 0;
  uint64_t results_taken_ = 0;
  uint64_t last_sent_ns_ = 0;  // the end of the last step
  Backlog backlog_;
  uint64_t stream_memory_ = 0;   // what the metric has of it
  std::byte* block_ = nullptr;   // once the inputs are in it
  Link* link_ = nullptr;         // while it is watched
  uint64_t slot_ = 0;            // while it is watched
  std::vector<bool> cancelled_;  // belongs to the watch
};

}  // namespace pytriton
