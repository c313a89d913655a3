// SPDX-License-Identifier: Apache-2.0
#include "fake_triton.h"

namespace pytriton::testing {

Bytes PackStrings(const std::vector<std::string>& values) {
  Bytes bytes;
  for (const std::string& value : values) {
    const auto length = static_cast<uint32_t>(value.size());
    const auto* head = reinterpret_cast<const std::byte*>(&length);
    const auto* data = reinterpret_cast<const std::byte*>(value.data());
    bytes.insert(bytes.end(), head, head + sizeof(length));
    bytes.insert(bytes.end(), data, data + value.size());
  }
  return bytes;
}

std::vector<Bytes> Cut(const Bytes& bytes, std::initializer_list<size_t> positions) {
  std::vector<Bytes> parts;
  size_t begin = 0;
  for (const size_t end : positions) {
    parts.emplace_back(bytes.begin() + static_cast<ptrdiff_t>(begin),
                       bytes.begin() + static_cast<ptrdiff_t>(end));
    begin = end;
  }
  parts.emplace_back(bytes.begin() + static_cast<ptrdiff_t>(begin), bytes.end());
  return parts;
}

}  // namespace pytriton::testing
