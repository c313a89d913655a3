// SPDX-License-Identifier: Apache-2.0
#include "backend/string_tensor.h"

#include <string>

#include "pytriton/shm_layout.h"

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
    if (length > kLongestString) {
      throw Failure(Code::kUnsupported, std::string("input \"") + input.name + "\": element " +
                                            std::to_string(element) + " has " + std::to_string(length) +
                                            " bytes; strings have to be shorter than 2 GiB");
    }
  }
  if (left > 0) {
    throw Failure(Code::kInvalidArgument, std::string("input \"") + input.name +
                                              "\": " + std::to_string(left) + " bytes follow its " +
                                              std::to_string(elements) + " elements");
  }
}

std::span<std::byte> CopyStrings(const Input& input, uint64_t elements, std::span<std::byte> to) {
  InputReader reader(input);
  for (uint64_t element = 0; element < elements; ++element) {
    uint32_t length = 0;
    if (!ReadLength(reader, length) || to.size() < kStringHead || to.size() - kStringHead < length ||
        !reader.Read(to.data() + kStringHead, length)) {
      throw Failure(Code::kInvalidArgument, std::string("input \"") + input.name +
                                                "\": its strings were changed while they were read");
    }
    to[0] = std::byte{kStringTag};
    std::memcpy(to.data() + 1, &length, sizeof(length));
    to = to.subspan(kStringHead + length);
  }
  return to;
}

void WriteStrings(std::span<const uint64_t> starts, const std::byte* tensor, std::byte* to) {
  for (size_t element = 0; element + 1 < starts.size(); ++element) {
    const auto length = static_cast<uint32_t>(starts[element + 1] - starts[element] - kStringHead);
    std::memcpy(to, &length, sizeof(length));
    std::memcpy(to + sizeof(length), tensor + starts[element] + kStringHead, length);
    to += sizeof(length) + length;
  }
}

}  // namespace pytriton
