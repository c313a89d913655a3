// SPDX-License-Identifier: Apache-2.0
#include "string_tensor.h"

#include <string>

namespace pytriton {

namespace {

bool ReadLength(InputReader& reader, uint32_t& length) {
  return reader.Read(reinterpret_cast<std::byte*>(&length), sizeof(length));
}

}  // namespace

void CheckStrings(const Input& input, uint64_t elements) {
  InputReader reader(input);
  uint64_t left = input.byte_size;
  for (uint64_t element = 0; element < elements; ++element) {
    uint32_t length = 0;
    if (left < kLengthPrefix || !ReadLength(reader, length) || left - kLengthPrefix < length ||
        !reader.Read(nullptr, length)) {
      throw Failure(Code::kInvalidArgument, std::string("input \"") + input.name + "\": its " +
                                                std::to_string(input.byte_size) +
                                                " bytes end within element " + std::to_string(element) +
                                                " of " + std::to_string(elements));
    }
    left -= kLengthPrefix + length;
  }
  if (left > 0) {
    throw Failure(Code::kInvalidArgument, std::string("input \"") + input.name +
                                              "\": " + std::to_string(left) + " bytes follow its " +
                                              std::to_string(elements) + " elements");
  }
}

void CopyStrings(const Input& input, uint64_t elements, std::byte* data, uint64_t& offset, uint64_t* ends) {
  InputReader reader(input);
  for (uint64_t element = 0; element < elements; ++element) {
    uint32_t length = 0;
    ReadLength(reader, length);
    reader.Read(data + offset, length);
    offset += length;
    ends[element] = offset;
  }
}

void WriteStrings(std::span<const uint64_t> offsets, const std::byte* data, std::byte* to) {
  for (size_t element = 0; element + 1 < offsets.size(); ++element) {
    const auto length = static_cast<uint32_t>(offsets[element + 1] - offsets[element]);
    std::memcpy(to, &length, sizeof(length));
    std::memcpy(to + sizeof(length), data + offsets[element], length);
    to += sizeof(length) + length;
  }
}

}  // namespace pytriton
