// SPDX-License-Identifier: Apache-2.0
#include "core/results.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/failure.h"

namespace pytriton {

namespace {

// Numbers of TRITONSERVER_DataType.
constexpr uint32_t kBytesType = 13;
constexpr uint32_t kElementSizes[] = {0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 0, 2};

template <typename T>
void CopyRecords(const SlotView& slot, uint64_t offset, std::vector<T>& records) {
  if (!records.empty()) {
    std::memcpy(records.data(), slot.base + offset, records.size() * sizeof(T));
  }
}

[[noreturn]] void Reject(const TensorRecord& record, const std::string& why) {
  throw ProtocolError("result for output " + std::to_string(record.tensor) + ": " + why);
}

uint32_t ReadNumber(const std::byte* from) {
  uint32_t number = 0;
  std::memcpy(&number, from, sizeof(number));
  return number;
}

// Where the strings of a tensor begin, and its end. Read only once: what is true of them now, a worker may
// change at any time.
std::vector<uint64_t> FindStrings(const std::byte* tensor, const TensorRecord& record, uint64_t elements) {
  if (std::to_integer<uint8_t>(tensor[0]) != kListTag || ReadNumber(tensor + 1) != elements) {
    Reject(record, "no list of " + std::to_string(elements) + " strings");
  }
  std::vector<uint64_t> starts;
  starts.reserve(elements + 1);
  uint64_t at = kListHead;
  for (uint64_t element = 0; element < elements; ++element) {
    starts.push_back(at);
    const uint64_t left = record.length - at;
    if (left < kStringHead || std::to_integer<uint8_t>(tensor[at]) != kStringTag) {
      Reject(record, "no string where element " + std::to_string(element) + " should be");
    }
    const uint64_t length = ReadNumber(tensor + at + 1);
    if (length > left - kStringHead) {
      Reject(record,
             "its " + std::to_string(record.length) + " bytes end within element " + std::to_string(element));
    }
    at += kStringHead + length;
  }
  if (at != record.length) {
    Reject(record, std::to_string(record.length - at) + " bytes follow its strings");
  }
  starts.push_back(at);
  return starts;
}

// Takes parameters off a copy of what a worker wrote.
class ParameterReader {
 public:
  explicit ParameterReader(std::string bytes) : bytes_(std::move(bytes)) {}

  ResponseParameter Next() {
    const auto key_length = Plain<uint32_t>(Take(sizeof(uint32_t)));
    const auto type = Plain<uint32_t>(Take(sizeof(uint32_t)));
    const auto value_length = Plain<uint32_t>(Take(sizeof(uint32_t)));
    ResponseParameter parameter{std::string(Take(key_length)), {}};
    const std::string_view value = Take(value_length);
    switch (static_cast<ParameterType>(type)) {
      case ParameterType::kString:
        parameter.value = std::string(value);
        break;
      case ParameterType::kInt:
        parameter.value = Plain<int64_t>(value);
        break;
      case ParameterType::kBool:
        parameter.value = Plain<uint8_t>(value) != 0;
        break;
      case ParameterType::kDouble:
        parameter.value = Plain<double>(value);
        break;
      default:
        throw ProtocolError("a response parameter of type " + std::to_string(type));
    }
    return parameter;
  }

 private:
  std::string_view Take(uint64_t length) {
    if (length > bytes_.size() - next_) {
      throw ProtocolError("response parameters that end within one");
    }
    next_ += length;
    return std::string_view(bytes_).substr(next_ - length, length);
  }

  template <typename T>
  static T Plain(std::string_view bytes) {
    T value;
    if (bytes.size() != sizeof(value)) {
      throw ProtocolError("a response parameter of " + std::to_string(bytes.size()) + " bytes");
    }
    std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }

  const std::string bytes_;
  uint64_t next_ = 0;
};

}  // namespace

bool SlotView::Contains(uint64_t offset, uint64_t length) const {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&](const Block& block) { return block.Contains(offset, length); });
}

uint32_t ElementSize(uint32_t datatype) {
  return datatype < std::size(kElementSizes) ? kElementSizes[datatype] : 0;
}

uint64_t ElementCount(std::span<const int64_t> dims) {
  uint64_t count = 1;
  for (const int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(dim), &count)) {
      throw ProtocolError("a shape with a dimension of " + std::to_string(dim));
    }
  }
  return count;
}

ResultTable::ResultTable(const SlotView& slot, const Message& message, const ResultBounds& bounds)
    : tensor_count_(bounds.tensor_count) {
  if (message.length < sizeof(ResultHeader) || !slot.Contains(message.offset, message.length)) {
    throw ProtocolError("a result table of " + std::to_string(message.length) + " bytes at " +
                        std::to_string(message.offset) + ", outside its slot");
  }
  ResultHeader header;
  std::memcpy(&header, slot.base + message.offset, sizeof(header));
  const uint64_t tensors_size = uint64_t{header.tensor_count} * sizeof(TensorRecord);
  const uint64_t errors_size = uint64_t{header.error_count} * sizeof(ErrorRecord);
  const uint64_t responses_size = uint64_t{header.response_count} * sizeof(ResponseRecord);
  if (message.length != sizeof(header) + tensors_size + errors_size + responses_size) {
    throw ProtocolError("a result table of " + std::to_string(message.length) + " bytes cannot hold " +
                        std::to_string(header.tensor_count) + " tensors, " +
                        std::to_string(header.error_count) + " errors and " +
                        std::to_string(header.response_count) + " responses");
  }
  const auto requests = static_cast<uint32_t>(bounds.request_rows.size());
  if (header.tensor_count > uint64_t{bounds.tensor_count} * (uint64_t{requests} + 1) ||
      header.error_count > uint64_t{requests} + 1 || header.response_count > requests) {
    throw ProtocolError("a result table of " + std::to_string(header.tensor_count) + " tensors, " +
                        std::to_string(header.error_count) + " errors and " +
                        std::to_string(header.response_count) + " responses for " + std::to_string(requests) +
                        " requests");
  }
  tensors_.resize(header.tensor_count);
  errors_.resize(header.error_count);
  responses_.resize(header.response_count);
  CopyRecords(slot, message.offset + sizeof(header), tensors_);
  CopyRecords(slot, message.offset + sizeof(header) + tensors_size, errors_);
  CopyRecords(slot, message.offset + sizeof(header) + tensors_size + errors_size, responses_);

  shared_rows_ = std::all_of(tensors_.begin(), tensors_.end(),
                             [](const TensorRecord& record) { return record.request == kAllRequests; });
  by_request_.resize(uint64_t{tensor_count_} * (shared_rows_ ? 1 : requests));
  strings_.reserve(tensors_.size());
  for (const TensorRecord& record : tensors_) {
    const uint64_t elements = CheckTensor(slot, record, bounds);
    strings_.push_back(record.datatype == kBytesType
                           ? FindStrings(slot.base + record.offset, record, elements)
                           : std::vector<uint64_t>());
    tensor_bytes_ += record.length;
    const bool all = record.request == kAllRequests;
    for (uint64_t row = all ? 0 : record.request; row * tensor_count_ < by_request_.size(); ++row) {
      const TensorRecord*& place = by_request_[row * tensor_count_ + record.tensor];
      if (place != nullptr) {
        Reject(record, "given twice");
      }
      place = &record;
      if (!all) {
        break;
      }
    }
  }
  ReadErrors(slot, requests);
  ReadResponses(slot, requests);
}

void ResultTable::ReadErrors(const SlotView& slot, uint32_t requests) {
  if (!errors_.empty()) {
    error_of_.resize(requests);
  }
  for (const ErrorRecord& error : errors_) {
    if ((error.request != kAllRequests && error.request >= requests) ||
        (error.length > 0 && !slot.Contains(error.offset, error.length))) {
      throw ProtocolError("an error for request " + std::to_string(error.request) + " of " +
                          std::to_string(requests) + " with a text of " + std::to_string(error.length) +
                          " bytes");
    }
    for (uint32_t request = 0; request < requests; ++request) {
      if (error.request == kAllRequests || error.request == request) {
        error_of_[request] = &error;
      }
    }
  }
}

void ResultTable::ReadResponses(const SlotView& slot, uint32_t requests) {
  if (!responses_.empty()) {
    response_of_.resize(requests);
  }
  for (const ResponseRecord& response : responses_) {
    if (response.request >= requests || response_of_[response.request] != nullptr ||
        (response.meta_length > 0 && !slot.Contains(response.meta_offset, response.meta_length))) {
      throw ProtocolError("a response for request " + std::to_string(response.request) + " of " +
                          std::to_string(requests) + " with parameters of " +
                          std::to_string(response.meta_length) + " bytes");
    }
    response_of_[response.request] = &response;
  }
}

uint64_t ResultTable::CheckTensor(const SlotView& slot, const TensorRecord& record,
                                  const ResultBounds& bounds) const {
  if (record.tensor >= bounds.tensor_count) {
    Reject(record, "the model has " + std::to_string(bounds.tensor_count));
  }
  if (record.request != kAllRequests && record.request >= bounds.request_rows.size()) {
    Reject(record,
           "request " + std::to_string(record.request) + " of " + std::to_string(bounds.request_rows.size()));
  }
  if (record.rank > kMaxRank) {
    Reject(record, "rank " + std::to_string(record.rank) + " is more than " + std::to_string(kMaxRank));
  }
  if (bounds.batching) {
    const uint64_t rows = record.request == kAllRequests ? bounds.rows : bounds.request_rows[record.request];
    if (record.rank == 0 || record.dims[0] != static_cast<int64_t>(rows)) {
      Reject(record, "its first dimension is not the batch size " + std::to_string(rows));
    }
  } else if (record.request == kAllRequests && bounds.request_rows.size() != 1) {
    Reject(record, "a result for all requests of a model that does not batch");
  }
  const uint64_t elements = ElementCount({record.dims, record.rank});
  uint64_t expected = 0;
  bool fits = !__builtin_mul_overflow(elements, uint64_t{ElementSize(record.datatype)}, &expected);
  if (record.datatype == kBytesType) {
    fits = record.length >= kListHead && elements <= (record.length - kListHead) / kStringHead;
  } else {
    fits = fits && ElementSize(record.datatype) > 0 && expected == record.length;
  }
  if (!fits || !slot.Contains(record.offset, record.length)) {
    Reject(record, std::to_string(record.length) + " bytes at " + std::to_string(record.offset) +
                       " do not hold its shape, or lie outside its slot");
  }
  return elements;
}

const TensorRecord* ResultTable::Find(uint32_t request, uint32_t tensor) const {
  const uint64_t row = shared_rows_ ? 0 : request;
  return by_request_[row * tensor_count_ + tensor];
}

std::span<const uint64_t> ResultTable::Strings(const TensorRecord& record) const {
  return strings_[static_cast<size_t>(&record - tensors_.data())];
}

const ErrorRecord* ResultTable::Error(uint32_t request) const {
  return errors_.empty() ? nullptr : error_of_[request];
}

const ResponseRecord* ResultTable::Response(uint32_t request) const {
  return responses_.empty() ? nullptr : response_of_[request];
}

std::vector<ResponseParameter> CopyParameters(const SlotView& slot, const ResponseRecord& record) {
  std::string meta;
  if (record.meta_length > 0) {  // else the offset is not checked, and may be anything
    meta.assign(reinterpret_cast<const char*>(slot.base + record.meta_offset), record.meta_length);
  }
  ParameterReader reader(std::move(meta));
  std::vector<ResponseParameter> parameters;
  for (uint32_t index = 0; index < record.parameter_count; ++index) {
    parameters.push_back(reader.Next());
  }
  return parameters;
}

}  // namespace pytriton
