// SPDX-License-Identifier: Apache-2.0
#include "batch.h"

#include <algorithm>
#include <chrono>

#include "core/results.h"
#include "scatter.h"

namespace pytriton {

namespace {

// CLOCK_MONOTONIC, as Triton's statistics and the workers have it.
uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                               std::chrono::nanoseconds(1));
}

}  // namespace

Batch::Batch(Model& model, TRITONBACKEND_ModelInstance* instance,
             std::span<TRITONBACKEND_Request* const> requests)
    : model_(model),
      instance_(instance),
      exec_start_ns_(Now()),
      requests_(Own(requests)),
      gather_(model.binding(), requests_) {
  for (const BatchRequest& request : requests_) {
    rows_ += request.rows;
  }
}

Batch::~Batch() {
  Report();
}

std::vector<BatchRequest> Batch::Own(std::span<TRITONBACKEND_Request* const> requests) {
  std::vector<BatchRequest> owned;
  owned.reserve(requests.size());
  for (TRITONBACKEND_Request* const request : requests) {
    owned.push_back({Request(request), 1, {}});
  }
  return owned;
}

uint64_t Batch::BlockSize() const {
  return gather_.BlockSize(model_.ExpectedResultBytes(rows_));
}

void Batch::CopyInputs(const Link::Reservation& reservation) {
  const uint64_t copied = gather_.CopyInputs(reservation.base, reservation.block);
  model_.CountBatch(requests_.size(), copied);
  compute_start_ns_ = compute_end_ns_ = Now();
}

void Batch::OnResult(const SlotView& slot, const Message& message) {
  if ((message.flags & kFlagFinal) == 0) {
    throw ProtocolError("a result that is not the final one, of a model that gives one");
  }
  // The worker's clock is ours; its word is not: the times have to be in order whatever it says.
  const uint64_t now = Now();
  compute_start_ns_ = std::clamp(message.begin_ns, exec_start_ns_, now);
  compute_end_ns_ = std::clamp(message.end_ns, compute_start_ns_, now);

  std::vector<uint64_t> request_rows;
  request_rows.reserve(requests_.size());
  for (const BatchRequest& request : requests_) {
    request_rows.push_back(request.rows);
  }
  const Binding& binding = model_.binding();
  const ResultTable results(
      slot, message, {request_rows, rows_, static_cast<uint32_t>(binding.outputs.size()), binding.batching});
  const uint64_t copied = Scatter(binding, slot, results, requests_);
  model_.CountResult(rows_, results.tensor_bytes(), copied);
}

void Batch::OnFailure(const Failure& failure) {
  for (BatchRequest& request : requests_) {
    request.handle.Fail(failure);
  }
}

// Triton's statistics want a call for each request and one for the batch, before the requests are given back.
void Batch::Report() noexcept {
  if (requests_.empty()) {
    return;
  }
  const uint64_t end = Now();
  const uint64_t start = compute_start_ns_ == 0 ? end : compute_start_ns_;
  const uint64_t stop = std::max(start, compute_end_ns_);
  bool succeeded = false;
  for (const BatchRequest& request : requests_) {
    succeeded = succeeded || request.handle.succeeded();
    Ignore(TRITONBACKEND_ModelInstanceReportStatistics(
        instance_, request.handle.get(), request.handle.succeeded(), exec_start_ns_, start, stop, end));
  }
  if (succeeded) {
    Ignore(TRITONBACKEND_ModelInstanceReportBatchStatistics(instance_, std::max<uint64_t>(rows_, 1),
                                                            exec_start_ns_, start, stop, end));
  }
}

}  // namespace pytriton
