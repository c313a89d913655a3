// SPDX-License-Identifier: Apache-2.0
#include "backend/scatter.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <string>

#include "backend/string_tensor.h"
#include "pytriton/shm_layout.h"

namespace pytriton {

namespace {

// Of the text of an error: as much as our workers send.
constexpr uint64_t kMaxErrorText = 16 * 1024;

// The rows of a tensor that belong to one request.
struct Share {
  std::array<int64_t, kMaxRank> dims;
  uint64_t first = 0;  // element
  uint64_t count = 0;  // elements
};

Share ShareOf(const TensorRecord& record, uint64_t first_row, uint64_t rows, bool batching) {
  Share share;
  std::copy_n(record.dims, record.rank, share.dims.begin());
  if (record.request == kAllRequests && batching) {
    share.dims[0] = static_cast<int64_t>(rows);
    const uint64_t row_elements = ElementCount({record.dims + 1, record.rank - 1});
    share.first = first_row * row_elements;
  }
  share.count = ElementCount({share.dims.data(), record.rank});
  return share;
}

uint64_t CopyOutput(Response& response, const Binding::Tensor& output, const TensorRecord& record,
                    const Share& share, const SlotView& slot, const ResultTable& results) {
  const std::span<const int64_t> dims(share.dims.data(), record.rank);
  if (record.datatype != TRITONSERVER_TYPE_BYTES) {
    const uint64_t element = ElementSize(record.datatype);
    const uint64_t size = share.count * element;
    std::byte* const to = response.AddOutput(output.name, record.datatype, dims, size);
    if (size > 0) {
      std::memcpy(to, slot.base + record.offset + share.first * element, size);
    }
    return size;
  }
  const std::span<const uint64_t> starts = results.Strings(record).subspan(share.first, share.count + 1);
  const uint64_t data_size = starts.back() - starts.front() - share.count * kStringHead;
  std::byte* const to =
      response.AddOutput(output.name, record.datatype, dims, share.count * kLengthPrefix + data_size);
  WriteStrings(starts, slot.base + record.offset, to);
  return data_size;
}

Failure ToFailure(const ErrorRecord& error, const SlotView& slot) {
  const auto code =
      error.code <= static_cast<uint32_t>(Code::kCancelled) ? static_cast<Code>(error.code) : Code::kUnknown;
  if (error.length == 0) {
    return Failure(code, "the function failed");
  }
  const auto* text = reinterpret_cast<const char*>(slot.base + error.offset);
  return Failure(code, std::string(text, std::min(error.length, kMaxErrorText)));
}

uint64_t SendResponse(const Binding& binding, const SlotView& slot, const ResultTable& results,
                      uint32_t index, uint64_t first_row, BatchRequest& request) {
  Response response(request.handle.get());
  uint64_t copied = 0;
  // In the order in which the function gave them: that of their records, while Triton asks for them by name.
  std::sort(request.outputs.begin(), request.outputs.end(), [&](uint32_t left, uint32_t right) {
    return std::less<>()(results.Find(index, left), results.Find(index, right));
  });
  for (const uint32_t output : request.outputs) {
    if (const TensorRecord* record = results.Find(index, output)) {
      const Share share = ShareOf(*record, first_row, request.rows, binding.batching);
      copied += CopyOutput(response, binding.outputs[output], *record, share, slot, results);
    }
  }
  if (const ResponseRecord* record = results.Response(index)) {
    for (const ResponseParameter& parameter : CopyParameters(slot, *record)) {
      response.SetParameter(parameter);
    }
  }
  if (binding.decoupled) {
    request.handle.Send(response);
  } else {
    request.handle.Answer(response);
  }
  return copied;
}

// What the results hold for one request.
uint64_t Deliver(const Binding& binding, const SlotView& slot, const ResultTable& results, uint32_t index,
                 uint64_t first_row, BatchRequest& request) {
  if (const ErrorRecord* error = results.Error(index)) {
    request.handle.Fail(ToFailure(*error, slot));
    request.delivery = Delivery::kError;
    return 0;
  }
  const ResponseRecord* const record = results.Response(index);
  const uint32_t flags = binding.decoupled && record != nullptr ? record->flags : 0;
  uint64_t copied = 0;
  if ((flags & kResponseNone) == 0) {
    copied = SendResponse(binding, slot, results, index, first_row, request);
    request.delivery = Delivery::kResponse;
  }
  if ((flags & kResponseLast) != 0) {
    request.handle.End();
    request.delivery = copied == 0 && (flags & kResponseNone) != 0 ? Delivery::kEnd : request.delivery;
  }
  return copied;
}

}  // namespace

uint64_t Scatter(const Binding& binding, const SlotView& slot, const ResultTable& results,
                 std::vector<BatchRequest>& requests, const std::function<void(BatchRequest&)>& passed) {
  uint64_t copied = 0;
  uint64_t first_row = 0;
  for (uint32_t index = 0; index < requests.size(); ++index) {
    BatchRequest& request = requests[index];
    if (request.handle.answered()) {
      // It has ended before the others.
    } else if (binding.decoupled && request.handle.IsCancelled()) {
      request.handle.Fail(Failure(Code::kCancelled, "the request was cancelled"));
      request.delivery = Delivery::kCancelled;
    } else {
      try {
        copied += Deliver(binding, slot, results, index, first_row, request);
      } catch (const Failure& failure) {
        request.handle.Fail(failure);
        request.delivery = Delivery::kError;
      }
    }
    first_row += request.rows;
    passed(request);
  }
  return copied;
}

}  // namespace pytriton
