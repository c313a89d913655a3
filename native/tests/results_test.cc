// SPDX-License-Identifier: Apache-2.0
#include "core/results.h"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "core/failure.h"
#include "fake_triton.h"
#include "result_writer.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::Pack;
using testing::ResultWriter;
using testing::StringList;

constexpr uint32_t kInt32 = TRITONSERVER_TYPE_INT32;
constexpr uint32_t kBytes = TRITONSERVER_TYPE_BYTES;
constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

// The memory of a slot of two blocks, and a batch of two requests, of two rows and of one, to a model of two
// outputs.
class Slot {
 public:
  Slot() : memory_(3 * 4096) {}

  // Throws what the table does.
  ResultTable Read(
      const ResultWriter& results, const std::function<void(Message&)>& spoil = [](Message&) {}) {
    Message message = results.Write(memory_.data(), blocks_[0]);
    spoil(message);
    return ReadAt(message);
  }
  ResultTable ReadAt(const Message& message) const { return ResultTable(view(), message, bounds); }

  // The complaint about results in which one field of one record is a lie.
  std::string Complaint(ResultWriter results, const std::function<void(ResultWriter&)>& spoil) {
    spoil(results);
    try {
      Read(results);
    } catch (const ProtocolError& error) {
      return error.what();
    }
    return "no complaint";
  }

  SlotView view() const { return {memory_.data(), blocks_}; }
  std::byte* base() { return memory_.data(); }

  std::vector<uint64_t> rows{2, 1};
  ResultBounds bounds{rows, 3, 2, true};

 private:
  std::vector<std::byte> memory_;
  std::vector<Block> blocks_{{0, 4096}, {8192, 4096}};
};

ResultWriter GoodResults() {
  return ResultWriter()
      .Add(0, kAllRequests, kInt32, {3, 2}, Pack<int32_t>({1, 2, 3, 4, 5, 6}))
      .AddStrings(1, kAllRequests, {3}, {"a", "", "ccc"});
}

}  // namespace

TEST_CASE("results for the whole batch are found for each request") {
  Slot slot;
  const ResultTable results = slot.Read(GoodResults());
  for (const uint32_t request : {0u, 1u}) {
    REQUIRE(results.Find(request, 0) != nullptr);
    CHECK(results.Find(request, 0)->length == 24);
    CHECK(results.Find(request, 1)->datatype == kBytes);
    CHECK(results.Error(request) == nullptr);
  }
  CHECK_FALSE(results.has_errors());
  CHECK(results.tensor_bytes() == 24 + kListHead + 3 * kStringHead + 4);
}

TEST_CASE("results for single requests, errors and missing outputs") {
  Slot slot;
  const ResultTable results = slot.Read(ResultWriter()
                                            .Add(0, 1, kInt32, {1}, Pack<int32_t>({7}))
                                            .Add(1, kAllRequests, kInt32, {3}, Pack<int32_t>({1, 2, 3}))
                                            .AddError(0, 3, "no good"));
  CHECK(results.Find(0, 0) == nullptr);
  CHECK(results.Find(1, 0)->dims[0] == 1);
  CHECK(results.Find(0, 1) == results.Find(1, 1));
  REQUIRE(results.Error(0) != nullptr);
  CHECK(results.Error(0)->code == 3);
  CHECK(results.Error(1) == nullptr);
  CHECK(results.has_errors());

  const ResultTable all = slot.Read(ResultWriter().AddError(kAllRequests, 1, ""));
  CHECK(all.Error(0) != nullptr);
  CHECK(all.Error(0) == all.Error(1));
  CHECK(all.Find(0, 0) == nullptr);
  CHECK(all.Find(1, 1) == nullptr);

  const ResultTable nothing = slot.Read(ResultWriter());
  CHECK(nothing.Find(1, 1) == nullptr);
  CHECK(nothing.Error(1) == nullptr);
}

TEST_CASE("a table that does not lie in the slot") {
  Slot slot;
  const auto misplaced = [&](uint64_t offset, uint64_t length) {
    return [=](Message& message) {
      message.offset = offset;
      message.length = length;
    };
  };
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  const uint64_t table = sizeof(ResultHeader) + 2 * sizeof(TensorRecord);
  CHECK_NOTHROW(slot.Read(GoodResults(), misplaced(0, table)));
  const std::vector<std::pair<uint64_t, uint64_t>> lies = {{0, 0},         {0, 7},
                                                           {0, table - 1}, {0, table + 1},
                                                           {0, kMost},     {kMost, table},
                                                           {kMost - 5, 8}, {4095, table},
                                                           {4096, table},  {5000, table},
                                                           {4000, 8192},   {12288, table},
                                                           {12287, 8},     {8192, uint64_t{1} << 40},
                                                           {kMost, 1}};
  for (const auto& lie : lies) {
    INFO(lie.second, " bytes at ", lie.first);
    CHECK_THROWS_AS(slot.Read(GoodResults(), misplaced(lie.first, lie.second)), ProtocolError);
  }
}

TEST_CASE("counts that the table cannot hold, or the batch cannot need") {
  constexpr uint64_t kHeader = sizeof(ResultHeader);
  constexpr uint64_t kTable = kHeader + 2 * sizeof(TensorRecord);
  Slot slot;
  const auto counts = [&](uint32_t tensors, uint32_t errors, uint64_t length, uint32_t responses = 0) {
    Message message = GoodResults().Write(slot.base(), {0, 4096});
    const ResultHeader header{tensors, errors, responses, 0};
    std::memcpy(slot.base() + message.offset, &header, sizeof(header));
    message.length = length;
    slot.ReadAt(message);
  };
  CHECK_THROWS_AS(counts(0xffffffff, 0xffffffff, kTable), ProtocolError);
  CHECK_THROWS_AS(counts(3, 0, kTable), ProtocolError);
  CHECK_THROWS_AS(counts(2, 1, kTable), ProtocolError);
  CHECK_THROWS_AS(counts(0, 0, kTable), ProtocolError);
  CHECK_THROWS_AS(counts(7, 0, kHeader + 7 * sizeof(TensorRecord)), ProtocolError);
  CHECK_THROWS_AS(counts(0, 4, kHeader + 4 * sizeof(ErrorRecord)), ProtocolError);
  CHECK_THROWS_AS(counts(2, 0, kTable, 1), ProtocolError);
  CHECK_THROWS_AS(counts(0, 0, kHeader, 0xffffffff), ProtocolError);
  CHECK_THROWS_AS(counts(0, 0, kHeader + 3 * sizeof(ResponseRecord), 3), ProtocolError);
  CHECK_NOTHROW(counts(0, 0, kHeader));
}

TEST_CASE("every lie of a tensor record is found") {
  Slot slot;
  const auto complaint = [&](const std::function<void(TensorRecord&)>& spoil) {
    return slot.Complaint(GoodResults(), [&](ResultWriter& results) { spoil(results.tensors[0].record); });
  };
  CHECK(complaint([](TensorRecord&) {}) == "no complaint");
  CHECK(Contains(complaint([](TensorRecord& record) { record.tensor = 2; }), "output 2: the model has 2"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.tensor = 0xffffffff; }), "the model has 2"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.request = 2; }), "request 2 of 2"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.request = 0xfffffffe; }), "of 2"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.request = 0; }), "batch size 2"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.rank = 0; }), "batch size 3"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.rank = 17; }), "rank 17"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.rank = 0xffffffff; }), "rank 4294967295"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.dims[0] = 2; }), "batch size 3"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.dims[0] = -3; }), "batch size 3"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.dims[1] = -2; }), "dimension of -2"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.dims[1] = kHuge; }), "dimension of"));
  CHECK(Contains(
      complaint([](TensorRecord& record) { record.dims[1] = std::numeric_limits<int64_t>::min(); }), "-"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.dims[1] = 3; }), "24 bytes"));
  // Three times this is 2 modulo 2^64, four bytes each: a product that wraps around to the length must not
  // pass.
  CHECK(Contains(complaint([](TensorRecord& record) { record.dims[1] = int64_t{1} << 61; }), "24 bytes"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.length = 25; }), "25 bytes"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.length = 0; }), "0 bytes"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.datatype = TRITONSERVER_TYPE_INT64; }),
                 "24 bytes"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.datatype = 0; }), "24 bytes"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.datatype = 15; }), "24 bytes"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.datatype = 0xffffffff; }), "24 bytes"));
  CHECK(Contains(complaint([](TensorRecord& record) { record.datatype = kBytes; }), "24 bytes"));
  for (const uint64_t offset : {uint64_t{4073}, uint64_t{4096}, uint64_t{8191}, uint64_t{12265},
                                uint64_t{1} << 63, std::numeric_limits<uint64_t>::max() - 400}) {
    const auto misplace = [&](ResultWriter& results) {
      results.tensors[0].placed = true;
      results.tensors[0].record.offset = offset;
    };
    CHECK(Contains(slot.Complaint(GoodResults(), misplace), "outside its slot"));
  }
}

TEST_CASE("a record of no data type at all holds nothing") {
  Slot slot;
  const std::string complaint = slot.Complaint(GoodResults(), [](ResultWriter& results) {
    results.tensors[0].record.datatype = 0;
    results.tensors[0].record.dims[1] = 0;
    results.tensors[0].record.length = 0;
  });
  CHECK(Contains(complaint, "0 bytes"));
}

TEST_CASE("results may lie in either block, and not across the gap") {
  Slot slot;
  const auto at = [&](uint64_t offset) {
    return slot.Complaint(GoodResults(), [&](ResultWriter& results) {
      results.tensors[0].placed = true;
      results.tensors[0].record.offset = offset;
    });
  };
  CHECK(at(4096 - 24) == "no complaint");
  CHECK(at(8192) == "no complaint");
  CHECK(at(12288 - 24) == "no complaint");
  CHECK(Contains(at(4096 - 23), "outside"));
  CHECK(Contains(at(8191), "outside"));
  CHECK(Contains(at(12288 - 23), "outside"));
}

TEST_CASE("an output given twice is refused, whatever the two records are for") {
  Slot slot;
  const auto one = [](uint32_t request, int64_t rows) {
    return [=](ResultWriter& results) {
      results.Add(0, request, TRITONSERVER_TYPE_UINT8, {rows},
                  std::vector<std::byte>(static_cast<size_t>(rows)));
    };
  };
  const auto twice = [&](const auto& first, const auto& second) {
    return slot.Complaint(ResultWriter(), [&](ResultWriter& results) {
      first(results);
      second(results);
    });
  };
  CHECK(Contains(twice(one(0, 2), one(0, 2)), "given twice"));
  CHECK(Contains(twice(one(kAllRequests, 3), one(kAllRequests, 3)), "given twice"));
  CHECK(Contains(twice(one(kAllRequests, 3), one(1, 1)), "given twice"));
  CHECK(Contains(twice(one(1, 1), one(kAllRequests, 3)), "given twice"));
  CHECK(twice(one(0, 2), one(1, 1)) == "no complaint");
}

TEST_CASE("every lie of an error record is found") {
  Slot slot;
  const ResultWriter errors = ResultWriter().AddError(1, 1, "sorry");
  const auto complaint = [&](const std::function<void(ErrorRecord&)>& spoil) {
    return slot.Complaint(errors, [&](ResultWriter& results) { spoil(results.errors[0].record); });
  };
  CHECK(complaint([](ErrorRecord&) {}) == "no complaint");
  CHECK(complaint([](ErrorRecord& record) { record.code = 0xffffffff; }) == "no complaint");
  CHECK(Contains(complaint([](ErrorRecord& record) { record.request = 2; }), "request 2 of 2"));
  CHECK(Contains(complaint([](ErrorRecord& record) { record.length = 5000; }), "5000 bytes"));
  CHECK(Contains(complaint([](ErrorRecord& record) { record.offset = 4092; }), "5 bytes"));
  CHECK(Contains(
      complaint([](ErrorRecord& record) { record.offset = std::numeric_limits<uint64_t>::max() - 35; }), ""));
  CHECK(complaint([](ErrorRecord& record) {
          record.offset = 1u << 30;
          record.length = 0;
        }) == "no complaint");
}

TEST_CASE("a model that does not batch has results for its one request, of any shape") {
  Slot slot;
  const std::vector<uint64_t> one{1};
  slot.bounds = {one, 1, 1, false};
  CHECK_NOTHROW(slot.Read(ResultWriter().Add(0, kAllRequests, kInt32, {}, Pack<int32_t>({1}))));
  CHECK_NOTHROW(slot.Read(ResultWriter().Add(0, 0, kInt32, {2, 1}, Pack<int32_t>({1, 2}))));
  CHECK_NOTHROW(slot.Read(ResultWriter().Add(0, 0, kInt32, {0, 5}, {})));
  const std::vector<uint64_t> two{1, 1};
  slot.bounds = {two, 2, 1, false};
  CHECK_THROWS_AS(slot.Read(ResultWriter().Add(0, kAllRequests, kInt32, {}, Pack<int32_t>({1}))),
                  ProtocolError);
}

TEST_CASE("a model without outputs gets no results") {
  Slot slot;
  slot.bounds.tensor_count = 0;
  CHECK_NOTHROW(slot.Read(ResultWriter()));
  CHECK_THROWS_AS(slot.Read(ResultWriter().Add(0, kAllRequests, kInt32, {3}, Pack<int32_t>({1, 2, 3}))),
                  ProtocolError);
}

TEST_CASE("batches without rows") {
  Slot slot;
  const std::vector<uint64_t> none{0};
  slot.bounds = {none, 0, 1, true};
  CHECK_NOTHROW(slot.Read(ResultWriter().Add(0, kAllRequests, kInt32, {0, 4}, {})));
  CHECK_THROWS_AS(slot.Read(ResultWriter().Add(0, kAllRequests, kInt32, {1}, Pack<int32_t>({1}))),
                  ProtocolError);
  CHECK_NOTHROW(slot.Read(ResultWriter().AddStrings(0, 0, {0}, {})));
}

TEST_CASE("element counts and sizes") {
  const auto count = [](std::vector<int64_t> dims) { return ElementCount(dims); };
  CHECK(count({}) == 1);
  CHECK(count({2, 3, 4}) == 24);
  CHECK(count({0, kHuge, kHuge}) == 0);
  CHECK(count({kHuge, 2}) == std::numeric_limits<uint64_t>::max() - 1);
  CHECK_THROWS_AS(count({kHuge, 3}), ProtocolError);
  CHECK_THROWS_AS(count({-1}), ProtocolError);
  CHECK_THROWS_AS(count({0, -1}), ProtocolError);
  const uint32_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 0, 2};
  for (uint32_t datatype = 0; datatype < 40; ++datatype) {
    CHECK(ElementSize(datatype) == (datatype < std::size(sizes) ? sizes[datatype] : 0));
  }
  CHECK(ElementSize(0xffffffff) == 0);
}

TEST_CASE("strings are found and checked") {
  Slot slot;
  const ResultTable results = slot.Read(GoodResults());
  const auto starts = results.Strings(*results.Find(0, 1));
  CHECK(std::vector<uint64_t>(starts.begin(), starts.end()) == std::vector<uint64_t>{5, 11, 16, 24});
  CHECK(results.Strings(*results.Find(0, 0)).empty());
}

TEST_CASE("lists of strings that lie") {
  const std::vector<std::byte> good = StringList({"a", "", "ccc"});
  const auto read = [](std::vector<std::byte> data) {
    Slot slot;
    ResultWriter results = GoodResults();
    results.tensors[1].record.length = data.size();
    results.tensors[1].data = std::move(data);
    slot.Read(results);
  };
  const auto with = [&](size_t at, uint8_t value) {
    std::vector<std::byte> data = good;
    data[at] = std::byte{value};
    return data;
  };
  CHECK_NOTHROW(read(good));
  for (size_t size = 0; size < good.size(); ++size) {
    CHECK_THROWS_AS(read({good.begin(), good.begin() + static_cast<ptrdiff_t>(size)}), ProtocolError);
  }
  std::vector<std::byte> longer = good;
  longer.push_back(std::byte{0});
  CHECK_THROWS_AS(read(longer), ProtocolError);
  CHECK_THROWS_AS(read(with(0, '(')), ProtocolError);    // no list
  CHECK_THROWS_AS(read(with(1, 2)), ProtocolError);      // of two
  CHECK_THROWS_AS(read(with(1, 4)), ProtocolError);      // of four
  CHECK_THROWS_AS(read(with(11, 'u')), ProtocolError);   // its second is no bytes
  CHECK_THROWS_AS(read(with(12, 1)), ProtocolError);     // and longer than it is
  CHECK_THROWS_AS(read(with(15, 0xff)), ProtocolError);  // much longer
  CHECK_THROWS_AS(read(with(17, 2)), ProtocolError);     // the last one is shorter
}

}  // namespace pytriton
