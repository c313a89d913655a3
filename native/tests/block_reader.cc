// SPDX-License-Identifier: Apache-2.0
#include "block_reader.h"

#include <cstring>
#include <stdexcept>

#include "core/allocator.h"

namespace pytriton::testing {

namespace {

class Reader {
 public:
  Reader(const std::byte* base, const Block& block) : base_(base), block_(block) {}

  void Check(uint64_t offset, uint64_t length) const {
    if (!block_.Contains(offset, length)) {
      throw std::logic_error(std::to_string(length) + " bytes at " + std::to_string(offset) +
                             " are not in the block");
    }
  }
  void Read(uint64_t& offset, void* to, uint64_t length) const {
    Check(offset, length);
    if (length > 0) {
      std::memcpy(to, base_ + offset, length);
    }
    offset += length;
  }
  template <typename T>
  T Read(uint64_t& offset) const {
    T value;
    Read(offset, &value, sizeof(value));
    return value;
  }
  std::string ReadText(uint64_t& offset, uint64_t length) const {
    Check(offset, length);
    std::string text(reinterpret_cast<const char*>(base_ + offset), length);
    offset += length;
    return text;
  }

 private:
  const std::byte* base_;
  Block block_;
};

ReadBlock::Request ReadRequest(const Reader& reader, const RequestRecord& record) {
  ReadBlock::Request request{record, {}, {}, {}, {}};
  uint64_t offset = record.meta_offset;
  for (uint32_t index = 0; index < record.output_count; ++index) {
    request.outputs.push_back(reader.Read<uint32_t>(offset));
  }
  request.id = reader.ReadText(offset, record.id_length);
  for (uint32_t index = 0; index < record.parameter_count; ++index) {
    const auto key_length = reader.Read<uint32_t>(offset);
    const auto type = static_cast<ParameterType>(reader.Read<uint32_t>(offset));
    const auto value_length = reader.Read<uint32_t>(offset);
    const std::string key = reader.ReadText(offset, key_length);
    request.parameters[key] = {type, reader.ReadText(offset, value_length)};
  }
  request.trace = reader.ReadText(offset, record.trace_length);
  if (offset != record.meta_offset + record.meta_length) {
    throw std::logic_error("the meta part of a request has another length than it says");
  }
  return request;
}

}  // namespace

std::vector<std::string> ReadBlock::Input::Strings() const {
  uint64_t elements = 1;
  for (const int64_t dim : dims) {
    elements *= static_cast<uint64_t>(dim);
  }
  const Reader reader(data.data(), {0, data.size()});
  std::vector<std::string> strings;
  uint64_t at = 0;
  const auto read_head = [&](uint8_t tag) {
    if (reader.Read<uint8_t>(at) != tag) {
      throw std::logic_error("no tag " + std::to_string(tag) + " where it should be");
    }
    return reader.Read<uint32_t>(at);
  };
  if (read_head(kListTag) != elements) {
    throw std::logic_error("a list of another number of strings than its shape says");
  }
  for (uint64_t element = 0; element < elements; ++element) {
    const uint64_t length = read_head(kStringTag);
    strings.push_back(reader.ReadText(at, length));
  }
  if (at != data.size()) {
    throw std::logic_error("a tensor of strings has another length than it says");
  }
  return strings;
}

ReadBlock::ReadBlock(const std::byte* base, uint64_t offset, uint64_t length) {
  const Reader reader(base, {offset, length});
  uint64_t at = offset;
  header = reader.Read<BlockHeader>(at);
  reader.Check(header.free_offset, header.free_length);
  at = header.requests_offset;
  for (uint32_t index = 0; index < header.request_count; ++index) {
    requests.push_back(ReadRequest(reader, reader.Read<RequestRecord>(at)));
  }
  at = header.inputs_offset;
  for (uint32_t index = 0; index < header.input_count; ++index) {
    Input input{reader.Read<TensorRecord>(at), {}, {}};
    input.dims.assign(input.record.dims, input.record.dims + input.record.rank);
    input.data.resize(input.record.length);
    uint64_t data_offset = input.record.offset;
    reader.Read(data_offset, input.data.data(), input.data.size());
    inputs.push_back(std::move(input));
  }
}

}  // namespace pytriton::testing
