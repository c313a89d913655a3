// SPDX-License-Identifier: Apache-2.0
#include "backend/string_tensor.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/failure.h"
#include "fake_triton.h"
#include "pytriton/shm_layout.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Bytes;
using testing::Contains;
using testing::Cut;
using testing::PackStrings;

TRITONBACKEND_Input StringInput(std::vector<Bytes> buffers, int64_t elements) {
  return {"TEXT", TRITONSERVER_TYPE_BYTES, {elements}, std::move(buffers)};
}

// The elements of an input by way of CheckStrings, CopyStrings and WriteStrings: what came in, if all is
// well.
Bytes ThereAndBack(std::vector<Bytes> buffers, uint64_t elements) {
  TRITONBACKEND_Input handle = StringInput(std::move(buffers), static_cast<int64_t>(elements));
  const Input input(&handle);
  CheckStrings(input, elements);
  Bytes tensor(input.byte_size + elements * (kStringHead - kLengthPrefix));
  CHECK(CopyStrings(input, elements, tensor).empty());
  std::vector<uint64_t> starts{0};
  for (uint64_t element = 0; element < elements; ++element) {
    CHECK(tensor[starts.back()] == std::byte{kStringTag});
    uint32_t length = 0;
    std::memcpy(&length, tensor.data() + starts.back() + 1, sizeof(length));
    starts.push_back(starts.back() + kStringHead + length);
  }
  Bytes written(input.byte_size);
  WriteStrings(starts, tensor.data(), written.data());
  return written;
}

std::string ComplaintAbout(std::vector<Bytes> buffers, uint64_t elements) {
  try {
    TRITONBACKEND_Input handle = StringInput(std::move(buffers), 0);
    CheckStrings(Input(&handle), elements);
  } catch (const Failure& failure) {
    CHECK(failure.code() == Code::kInvalidArgument);
    return failure.what();
  }
  return "no complaint";
}

const std::vector<std::string> kWords = {"one", "", std::string("nul\0byte", 8), "three", "ünï"};

}  // namespace

TEST_CASE("strings survive, wherever Triton cuts them into buffers") {
  const Bytes packed = PackStrings(kWords);
  CHECK(ThereAndBack({packed}, kWords.size()) == packed);
  for (size_t first = 0; first <= packed.size(); ++first) {
    CHECK(ThereAndBack(Cut(packed, {first}), kWords.size()) == packed);
    for (size_t second = first; second <= packed.size(); ++second) {
      REQUIRE(ThereAndBack(Cut(packed, {first, second}), kWords.size()) == packed);
    }
  }
  std::vector<Bytes> single;
  for (const std::byte byte : packed) {
    single.push_back({byte});
    single.emplace_back();
  }
  CHECK(ThereAndBack(single, kWords.size()) == packed);
}

TEST_CASE("no strings, and long ones") {
  CHECK(ThereAndBack({}, 0).empty());
  CHECK(ThereAndBack({Bytes{}}, 0).empty());
  const Bytes packed = PackStrings({std::string(10'000'000, 'x'), ""});
  CHECK(ThereAndBack(Cut(packed, {3, 5'000'000}), 2) == packed);
}

TEST_CASE("strings that end too early or too late, cut anywhere") {
  const Bytes packed = PackStrings(kWords);
  for (size_t cut = 0; cut <= packed.size(); ++cut) {
    for (size_t size = 0; size < packed.size(); ++size) {
      const Bytes part(packed.begin(), packed.begin() + static_cast<ptrdiff_t>(size));
      REQUIRE(
          Contains(ComplaintAbout(Cut(part, {std::min(cut, size)}), kWords.size()), "end within element"));
    }
    CHECK(Contains(ComplaintAbout(Cut(packed, {cut}), kWords.size() + 1), "end within element 5 of 6"));
    CHECK(Contains(ComplaintAbout(Cut(packed, {cut}), kWords.size() - 1), "9 bytes follow its 4 elements"));
  }
  CHECK(Contains(ComplaintAbout({}, 1), "its 0 bytes end within element 0 of 1"));
  CHECK(Contains(ComplaintAbout({testing::Pack<uint32_t>({0xffffffff})}, 1), "end within element 0"));
  CHECK(Contains(ComplaintAbout({testing::Pack<uint32_t>({0xffffffff, 0})}, 1), "end within element 0"));
  CHECK(Contains(ComplaintAbout({testing::Pack<uint32_t>({0})}, uint64_t{1} << 62), "end within element 1"));
}

TEST_CASE("strings that were changed after they had been checked go nowhere else") {
  const Bytes packed = PackStrings({"one", "three"});
  TRITONBACKEND_Input handle = StringInput({packed}, 2);
  const Input input(&handle);
  const auto copy = [&](size_t room) {
    Bytes tensor(room);
    CopyStrings(input, 2, tensor);
  };
  CHECK_NOTHROW(copy(packed.size() + 2));
  for (size_t room = 0; room < packed.size() + 2; ++room) {
    CHECK_THROWS_AS(copy(room), Failure);
  }
  handle.buffers[0].pop_back();
  CHECK_THROWS_AS(copy(packed.size() + 2), Failure);
}

TEST_CASE("InputReader reads across buffers and knows when it is at the end") {
  TRITONBACKEND_Input handle{
      "X", TRITONSERVER_TYPE_UINT8, {5}, {{}, Bytes(2, std::byte{1}), {}, Bytes(3, std::byte{2})}};
  const Input input(&handle);
  CHECK(input.byte_size == 5);
  InputReader reader(input);
  Bytes bytes(5);
  CHECK(reader.Read(nullptr, 0));
  CHECK(reader.Read(nullptr, 1));
  CHECK(reader.Read(bytes.data(), 3));
  CHECK(bytes == Bytes{std::byte{1}, std::byte{2}, std::byte{2}, std::byte{0}, std::byte{0}});
  CHECK_FALSE(reader.Read(bytes.data(), 2));
  CHECK_FALSE(reader.Read(bytes.data(), 1));
}

TEST_CASE("memory of a GPU is refused") {
  TRITONBACKEND_Input handle = StringInput({PackStrings(kWords)}, 5);
  handle.memory = TRITONSERVER_MEMORY_GPU;
  CHECK_THROWS_AS(CheckStrings(Input(&handle), 5), Failure);
  handle.memory = TRITONSERVER_MEMORY_CPU_PINNED;
  CHECK_NOTHROW(CheckStrings(Input(&handle), 5));
}

}  // namespace pytriton
