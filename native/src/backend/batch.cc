// SPDX-License-Identifier: Apache-2.0
#include "backend/batch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "backend/error.h"
#include "backend/response_statistics.h"
#include "backend/scatter.h"
#include "core/results.h"

namespace pytriton {

namespace {

// Responses of a request that statistics are kept of.
constexpr uint32_t kMostReported = 1000;
constexpr uint64_t kLeastStreamRoom = 32 * 1024;
constexpr uint64_t kMostStreamRoom = 1024 * 1024;

// CLOCK_MONOTONIC, as Triton's statistics and the workers have it.
uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                               std::chrono::nanoseconds(1));
}

// Room for some steps of a stream of which one needs `bytes`, so that its worker need not wait for each to be
// taken.
uint64_t StreamRoom(uint64_t bytes) {
  return std::max(2 * bytes, std::clamp(8 * bytes, kLeastStreamRoom, kMostStreamRoom));
}

void EndStream(BatchRequest& request) {
  if (request.handle.answered()) {
    return;
  }
  if (request.handle.IsCancelled()) {
    request.handle.Fail(Failure(Code::kCancelled, "the request was cancelled"));
    request.delivery = Delivery::kCancelled;
  } else {
    request.handle.End();
    // With a response in the same step, that is what there is to report.
    request.delivery = request.delivery == Delivery::kNothing ? Delivery::kEnd : request.delivery;
  }
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
  if (gather_.cancelled() > 0) {
    model_.metrics().CountCancellations(gather_.cancelled());
  }
}

Batch::~Batch() {
  Unwatch();
  Report();
}

std::vector<BatchRequest> Batch::Own(std::span<TRITONBACKEND_Request* const> requests) {
  std::vector<BatchRequest> owned;
  owned.reserve(requests.size());
  for (TRITONBACKEND_Request* const request : requests) {
    owned.push_back({Request(request), 1, {}, Delivery::kNothing, 0});
  }
  return owned;
}

uint64_t Batch::ResultRoom() const {
  const uint64_t expected = model_.ExpectedResultBytes(rows_);
  return model_.binding().decoupled ? StreamRoom(expected) : expected;
}

void Batch::CopyInputs(const Link::Reservation& reservation) {
  const bool wanted = std::any_of(requests_.begin(), requests_.end(),
                                  [](const BatchRequest& request) { return !request.handle.IsCancelled(); });
  if (!wanted) {
    cancelled_.assign(requests_.size(), true);
    throw Failure(Code::kCancelled, "the request was cancelled before it was run");
  }
  const uint64_t copied = gather_.CopyInputs(reservation.base, reservation.block, exec_start_ns_);
  block_ = reservation.base + reservation.block.offset;
  model_.CountBatch(requests_.size(), copied);
  compute_start_ns_ = compute_end_ns_ = Now();
}

void Batch::OnPosted(Link& link, uint64_t slot) {
  slot_ = slot;
  // A batch that is not watched is still answered.
  Ignore(Guard([&] {
    cancelled_.resize(requests_.size());
    link_ = &link;
    model_.watch().Add(*this);
  }));
}

void Batch::Unwatch() {
  if (link_ != nullptr) {
    model_.watch().Remove(*this);
    link_ = nullptr;
  }
}

// Workers that do not look, such as those in the middle of a long call, find the marks when they do.
void Batch::Look() noexcept {
  bool news = false;
  for (size_t index = 0; index < requests_.size(); ++index) {
    if (!cancelled_[index] && requests_[index].handle.IsCancelled()) {
      MarkCancelled(index);
      cancelled_[index] = news = true;
    }
  }
  if (news) {
    link_->TellCancelled(slot_);
  }
}

void Batch::OnResult(const SlotView& slot, const Message& message) {
  const bool final = (message.flags & kFlagFinal) != 0;
  if (final) {
    Unwatch();  // the block is about to be another's
  } else if (!model_.binding().decoupled) {
    throw ProtocolError("a result that is not the final one, of a model that gives one");
  }
  // The worker's clock is ours; its word is not: the times have to be in order whatever it says.
  const uint64_t now = Now();
  if (results_taken_ == 0) {
    compute_start_ns_ = std::clamp(message.begin_ns, exec_start_ns_, now);
  }
  compute_end_ns_ = std::clamp(message.end_ns, compute_start_ns_, now);
  if (final) {  // before the answer, so that whoever has that finds it counted
    model_.metrics().CountBatch(std::max<uint64_t>(rows_, 1), exec_start_ns_, compute_start_ns_,
                                compute_end_ns_);
  }
  uint64_t sent = 0;
  if (message.length > 0 || !model_.binding().decoupled) {
    sent = TakeResult(slot, message);
  }
  if (model_.binding().decoupled) {
    if (final) {
      for (size_t index = 0; index < requests_.size(); ++index) {
        EndStream(requests_[index]);
        if (requests_[index].delivery == Delivery::kCancelled && index < cancelled_.size()) {
          cancelled_[index] = true;
        }
      }
    }
    ReportResponses(Now());
    LimitBacklog(sent);
  }
  if (!final) {
    auto* const taken = reinterpret_cast<uint64_t*>(block_ + offsetof(BlockHeader, results_taken));
    std::atomic_ref<uint64_t>(*taken).store(++results_taken_, std::memory_order_release);
  }
}

uint64_t Batch::TakeResult(const SlotView& slot, const Message& message) {
  std::vector<uint64_t> request_rows;
  request_rows.reserve(requests_.size());
  for (const BatchRequest& request : requests_) {
    request_rows.push_back(request.rows);
  }
  const Binding& binding = model_.binding();
  const ResultTable results(
      slot, message, {request_rows, rows_, static_cast<uint32_t>(binding.outputs.size()), binding.batching});
  const uint64_t copied = Scatter(binding, slot, results, requests_, [this](BatchRequest& request) {
    if (!model_.binding().decoupled && &request != &requests_.back()) {
      Report(request, Now());
      request.handle.Release();
    }
  });
  model_.CountResult(rows_, results.tensor_bytes(), copied);
  return copied;
}

// Streams that nobody reads would fill the server's memory.
void Batch::LimitBacklog(uint64_t sent) {
  const uint64_t limit = model_.binding().stream_memory_limit;
  const uint64_t held = backlog_.Add(sent);
  const bool all_have_room = CountStreamMemory(held);
  if ((held <= limit && all_have_room) || link_ == nullptr) {
    return;
  }
  const std::string of_which =
      held > limit ? std::to_string(held) + " bytes of this stream, the limit is " + std::to_string(limit) +
                         " (ModelConfig.stream_memory_bytes)"
                   : std::to_string(model_.streams().used()) + " bytes of all streams, the limit is " +
                         std::to_string(model_.streams().limit()) + " (Limits.stream_memory_bytes)";
  const Failure failure(Code::kUnavailable, "the server holds " + of_which +
                                                ": read the responses faster, or ask for fewer or "
                                                "smaller ones");
  for (size_t index = 0; index < requests_.size(); ++index) {
    requests_[index].handle.Fail(failure);
    MarkCancelled(index);
  }
  link_->TellCancelled(slot_);
}

// Whether all streams together may have so much.
bool Batch::CountStreamMemory(uint64_t held) noexcept {
  if (held > stream_memory_ && model_.streams().Charge(held - stream_memory_) != nullptr) {
    return false;
  }
  if (held < stream_memory_) {
    model_.streams().Refund(stream_memory_ - held);
  }
  if (held != stream_memory_) {
    model_.metrics().CountStreamMemory(static_cast<int64_t>(held - stream_memory_));
    stream_memory_ = held;
  }
  return true;
}

void Batch::MarkCancelled(size_t index) noexcept {
  std::byte* const record = block_ + sizeof(BlockHeader) + index * sizeof(RequestRecord);
  auto* const flags = reinterpret_cast<uint32_t*>(record + offsetof(RequestRecord, flags));
  std::atomic_ref<uint32_t>(*flags).store(kRequestCancelled, std::memory_order_relaxed);
}

// Of each response for itself; of a very long stream, the first ones.
void Batch::ReportResponses(uint64_t sent_ns) noexcept {
  const uint64_t start = last_sent_ns_ == 0 ? compute_start_ns_ : last_sent_ns_;
  for (BatchRequest& request : requests_) {
    const Delivery delivery = std::exchange(request.delivery, Delivery::kNothing);
    if (delivery != Delivery::kNothing && request.reported < kMostReported) {
      ++request.reported;
      Ignore(Guard([&] {
        ReportResponse(instance_, request.handle, delivery,
                       {start, std::max(start, compute_end_ns_), sent_ns});
      }));
    }
  }
  last_sent_ns_ = sent_ns;
}

void Batch::OnFailure(const Failure& failure) {
  Unwatch();
  uint64_t failed = 0;
  for (BatchRequest& request : requests_) {
    failed += request.handle.answered() ? 0 : 1;
    request.handle.Fail(failure);
  }
  if (failure.code() != Code::kCancelled) {
    model_.CountFailed(failed);
  }
}

// Triton's statistics want a call for each request before it is given back.
void Batch::Report(const BatchRequest& request, uint64_t end_ns) noexcept {
  const uint64_t start = compute_start_ns_ == 0 ? end_ns : compute_start_ns_;
  Ignore(TRITONBACKEND_ModelInstanceReportStatistics(instance_, request.handle.get(),
                                                     request.handle.succeeded(), exec_start_ns_, start,
                                                     std::max(start, compute_end_ns_), end_ns));
}

// And one for the batch, while the instance is sure to be there: as long as it has a request.
void Batch::Report() noexcept {
  if (requests_.empty()) {
    return;
  }
  CountStreamMemory(0);
  if (const auto cancelled = std::count(cancelled_.begin(), cancelled_.end(), true)) {
    model_.metrics().CountCancellations(static_cast<uint64_t>(cancelled));
  }
  const uint64_t end = Now();
  const uint64_t start = compute_start_ns_ == 0 ? end : compute_start_ns_;
  bool succeeded = false;
  for (const BatchRequest& request : requests_) {
    succeeded = succeeded || request.handle.succeeded();
    if (request.handle.get() != nullptr) {
      Report(request, end);
    }
  }
  if (succeeded) {
    Ignore(TRITONBACKEND_ModelInstanceReportBatchStatistics(instance_, std::max<uint64_t>(rows_, 1),
                                                            exec_start_ns_, start,
                                                            std::max(start, compute_end_ns_), end));
  }
}

}  // namespace pytriton
