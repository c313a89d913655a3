// SPDX-License-Identifier: Apache-2.0
//
// What a fuzz target gives: the function libFuzzer calls, and inputs to start from.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace pytriton::testing {

using FuzzInput = std::vector<uint8_t>;

// Sound inputs, from which unsound ones are made.
std::vector<FuzzInput> FuzzSeeds();

// Takes an input apart; gives zeros at its end.
class FuzzReader {
 public:
  explicit FuzzReader(std::span<const uint8_t> data) : data_(data) {}

  template <typename T>
  T Read() {
    T value{};
    const size_t size = std::min(sizeof(T), data_.size());
    if (size > 0) {
      std::memcpy(&value, data_.data(), size);
    }
    data_ = data_.subspan(size);
    return value;
  }
  std::span<const uint8_t> Take(size_t size) {
    const auto taken = data_.first(std::min(size, data_.size()));
    data_ = data_.subspan(taken.size());
    return taken;
  }
  std::span<const uint8_t> Rest() { return Take(data_.size()); }
  bool empty() const { return data_.empty(); }

 private:
  std::span<const uint8_t> data_;
};

template <typename T>
void Put(FuzzInput& input, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  input.insert(input.end(), bytes, bytes + sizeof(value));
}

}  // namespace pytriton::testing
