// SPDX-License-Identifier: Apache-2.0
#include "result_writer.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace pytriton::testing {

namespace {

constexpr uint32_t kBytesType = 13;

// Writes into the room, never past it.
class Cursor {
 public:
  Cursor(std::byte* base, const Block& room)
      : base_(base), offset_(room.offset), end_(room.offset + room.length) {}

  uint64_t Append(const void* data, uint64_t size) {
    if (size > end_ - offset_) {
      throw std::logic_error("a test gave its results too little room");
    }
    if (size > 0) {
      std::memcpy(base_ + offset_, data, size);
    }
    return std::exchange(offset_, offset_ + size);
  }
  uint64_t offset() const { return offset_; }

 private:
  std::byte* base_;
  uint64_t offset_;
  uint64_t end_;
};

std::string Head(uint8_t tag, size_t size) {
  const auto number = static_cast<uint32_t>(size);
  return static_cast<char>(tag) + std::string(reinterpret_cast<const char*>(&number), sizeof(number));
}

}  // namespace

std::vector<std::byte> StringList(const std::vector<std::string>& values) {
  std::string list = Head(kListTag, values.size());
  for (const std::string& value : values) {
    list += Head(kStringTag, value.size()) + value;
  }
  const auto* begin = reinterpret_cast<const std::byte*>(list.data());
  return {begin, begin + list.size()};
}

std::string PackParameter(const std::string& key, ParameterType type, const std::string& value) {
  const uint32_t sizes[] = {static_cast<uint32_t>(key.size()), static_cast<uint32_t>(type),
                            static_cast<uint32_t>(value.size())};
  return std::string(reinterpret_cast<const char*>(sizes), sizeof(sizes)) + key + value;
}

ResultWriter& ResultWriter::Add(uint32_t tensor, uint32_t request, uint32_t datatype,
                                std::vector<int64_t> dims, std::vector<std::byte> data) {
  TensorRecord record{};
  record.tensor = tensor;
  record.request = request;
  record.datatype = datatype;
  record.rank = static_cast<uint32_t>(dims.size());
  record.length = data.size();
  std::copy(dims.begin(), dims.end(), record.dims);
  tensors.push_back({record, std::move(data)});
  return *this;
}

ResultWriter& ResultWriter::AddStrings(uint32_t tensor, uint32_t request, std::vector<int64_t> dims,
                                       const std::vector<std::string>& values) {
  return Add(tensor, request, kBytesType, std::move(dims), StringList(values));
}

ResultWriter& ResultWriter::AddError(uint32_t request, uint32_t code, std::string text) {
  errors.push_back({{request, code, 0, text.size()}, std::move(text)});
  return *this;
}

ResultWriter& ResultWriter::AddResponse(uint32_t request, uint32_t flags, std::string parameters,
                                        uint32_t parameter_count) {
  responses.push_back({{request, flags, 0, static_cast<uint32_t>(parameters.size()), parameter_count},
                       std::move(parameters)});
  return *this;
}

ResultWriter& ResultWriter::AddPlaced(const TensorRecord& record) {
  tensors.push_back({record, {}, true});
  return *this;
}

Message ResultWriter::Write(std::byte* base, const Block& room, uint64_t slot) const {
  const ResultHeader header{static_cast<uint32_t>(tensors.size()), static_cast<uint32_t>(errors.size()),
                            static_cast<uint32_t>(responses.size()), 0};
  const uint64_t table = sizeof(header) + tensors.size() * sizeof(TensorRecord) +
                         errors.size() * sizeof(ErrorRecord) + responses.size() * sizeof(ResponseRecord);
  Cursor records(base, {room.offset, table});
  Cursor data(base, {room.offset + table, room.length - table});
  records.Append(&header, sizeof(header));
  for (Tensor tensor : tensors) {
    if (!tensor.placed) {
      tensor.record.offset += data.Append(tensor.data.data(), tensor.data.size());
    }
    records.Append(&tensor.record, sizeof(tensor.record));
  }
  for (Error error : errors) {
    error.record.offset += data.Append(error.text.data(), error.text.size());
    records.Append(&error.record, sizeof(error.record));
  }
  for (Response response : responses) {
    response.record.meta_offset += data.Append(response.parameters.data(), response.parameters.size());
    records.Append(&response.record, sizeof(response.record));
  }
  Message message{};
  message.kind = static_cast<uint32_t>(Kind::kResult);
  message.flags = kFlagFinal | kFlagReleased;
  message.slot = slot;
  message.offset = room.offset;
  message.length = table;
  return message;
}

}  // namespace pytriton::testing
