// SPDX-License-Identifier: Apache-2.0
#include "backend/scatter.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/failure.h"
#include "fake_triton.h"
#include "result_writer.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Bytes;
using testing::Outcome;
using testing::Pack;
using testing::PackStrings;
using testing::ResultWriter;

constexpr uint32_t kInt32 = TRITONSERVER_TYPE_INT32;

// Three requests of 2, 0 and 1 rows, to a model with outputs NUMBERS and TEXT.
class Scattering {
 public:
  explicit Scattering(bool batching = true, std::vector<uint64_t> rows = {2, 0, 1}) : rows_(std::move(rows)) {
    binding_.batching = batching;
    binding_.outputs = {{"NUMBERS", kInt32, 1}, {"TEXT", TRITONSERVER_TYPE_BYTES, 0}};
    for (const uint64_t rows_of_request : rows_) {
      auto request = std::make_unique<TRITONBACKEND_Request>();
      handles.push_back(request.get());
      outcomes.push_back(request->outcome);
      requests_.push_back({Request(request.release()), rows_of_request, {0, 1}});
    }
  }

  std::vector<uint32_t>& wanted(size_t request) { return requests_[request].outputs; }

  // Returns how many bytes were copied. What the requests came to is in `outcomes`.
  uint64_t Run(const ResultWriter& results) {
    Bytes memory(1 << 16);
    const std::vector<Block> blocks{{0, memory.size()}};
    const SlotView slot{memory.data(), blocks};
    const Message message = results.Write(memory.data(), blocks[0]);
    uint64_t total = 0;
    for (const uint64_t rows : rows_) {
      total += rows;
    }
    const ResultTable table(slot, message, {rows_, total, 2, binding_.batching});
    const uint64_t copied = Scatter(binding_, slot, table, requests_);
    requests_.clear();
    for (const auto& outcome : outcomes) {
      CHECK(outcome->Released());
      CHECK(outcome->responses == 1);
      CHECK(outcome->releases == 1);
    }
    return copied;
  }

  std::vector<TRITONBACKEND_Request*> handles;
  std::vector<std::shared_ptr<Outcome>> outcomes;

 private:
  const std::vector<uint64_t> rows_;
  Binding binding_;
  std::vector<BatchRequest> requests_;
};

ResultWriter GoodResults() {
  return ResultWriter()
      .Add(0, kAllRequests, kInt32, {3, 2}, Pack<int32_t>({1, 2, 3, 4, 5, 6}))
      .AddStrings(1, kAllRequests, {3}, {"a", "", "ccc"});
}

void CheckOutput(const Outcome& outcome, const std::string& name, const std::vector<int64_t>& shape,
                 const Bytes& data) {
  REQUIRE_FALSE(outcome.error);
  const auto found = outcome.outputs.find(name);
  REQUIRE(found != outcome.outputs.end());
  CHECK(found->second.shape == shape);
  CHECK(found->second.data == data);
}

}  // namespace

TEST_CASE("results of the whole batch are split") {
  Scattering scattering;
  CHECK(scattering.Run(GoodResults()) == 24 + 4);
  CheckOutput(*scattering.outcomes[0], "NUMBERS", {2, 2}, Pack<int32_t>({1, 2, 3, 4}));
  CheckOutput(*scattering.outcomes[0], "TEXT", {2}, PackStrings({"a", ""}));
  CheckOutput(*scattering.outcomes[1], "NUMBERS", {0, 2}, {});
  CheckOutput(*scattering.outcomes[1], "TEXT", {0}, {});
  CheckOutput(*scattering.outcomes[2], "NUMBERS", {1, 2}, Pack<int32_t>({5, 6}));
  CheckOutput(*scattering.outcomes[2], "TEXT", {1}, PackStrings({"ccc"}));
  CHECK(scattering.outcomes[0]->outputs.at("TEXT").datatype == TRITONSERVER_TYPE_BYTES);
}

TEST_CASE("results of single requests may differ in shape") {
  Scattering scattering;
  scattering.Run(ResultWriter()
                     .Add(0, 2, kInt32, {1, 4}, Pack<int32_t>({9, 9, 9, 9}))
                     .Add(0, 0, kInt32, {2, 1}, Pack<int32_t>({7, 8}))
                     .Add(0, 1, kInt32, {0, 1}, {})
                     .AddStrings(1, 0, {2, 2}, {"1", "2", "3", "4"}));
  CheckOutput(*scattering.outcomes[0], "NUMBERS", {2, 1}, Pack<int32_t>({7, 8}));
  CheckOutput(*scattering.outcomes[0], "TEXT", {2, 2}, PackStrings({"1", "2", "3", "4"}));
  CheckOutput(*scattering.outcomes[1], "NUMBERS", {0, 1}, {});
  CheckOutput(*scattering.outcomes[2], "NUMBERS", {1, 4}, Pack<int32_t>({9, 9, 9, 9}));
  CHECK(scattering.outcomes[2]->outputs.count("TEXT") == 0);
}

TEST_CASE("only what a request asks for is copied") {
  Scattering scattering;
  scattering.wanted(0) = {1};
  scattering.wanted(2) = {};
  CHECK(scattering.Run(GoodResults()) == 1);
  CHECK(scattering.outcomes[0]->outputs.size() == 1);
  CHECK(scattering.outcomes[2]->outputs.empty());
  CHECK_FALSE(scattering.outcomes[2]->error);
}

TEST_CASE("a model that does not batch") {
  Scattering scattering(false, {1});
  scattering.Run(ResultWriter()
                     .Add(0, 0, kInt32, {}, Pack<int32_t>({5}))
                     .AddStrings(1, kAllRequests, {2, 1}, {"x", "y"}));
  CheckOutput(*scattering.outcomes[0], "NUMBERS", {}, Pack<int32_t>({5}));
  CheckOutput(*scattering.outcomes[0], "TEXT", {2, 1}, PackStrings({"x", "y"}));
}

TEST_CASE("a request gets its own error, and the rows of the others stay theirs") {
  Scattering scattering;
  ResultWriter results = GoodResults();
  results.AddError(0, 3, "this one is no good");
  scattering.Run(results);
  CHECK(scattering.outcomes[0]->error == TRITONSERVER_ERROR_INVALID_ARG);
  CHECK(scattering.outcomes[0]->message == "this one is no good");
  CheckOutput(*scattering.outcomes[2], "NUMBERS", {1, 2}, Pack<int32_t>({5, 6}));
}

TEST_CASE("an error for all, without words, and of a code that does not exist") {
  Scattering scattering;
  scattering.Run(ResultWriter().AddError(kAllRequests, 77, ""));
  for (const auto& outcome : scattering.outcomes) {
    CHECK(outcome->error == TRITONSERVER_ERROR_UNKNOWN);
    CHECK(outcome->message == "the function failed");
  }
}

TEST_CASE("an error has an output without data, which keeps Triton's cache from storing it") {
  Scattering scattering(true, {1, 1});
  for (TRITONBACKEND_Request* request : scattering.handles) {
    request->outputs = {"TEXT"};
  }
  scattering.handles[1]->outputs = {};
  scattering.Run(ResultWriter().AddError(kAllRequests, 1, "sorry"));
  REQUIRE(scattering.outcomes[0]->outputs.size() == 1);
  CHECK(scattering.outcomes[0]->outputs.at("TEXT").data.empty());
  CHECK(scattering.outcomes[1]->outputs.empty());
  CHECK(scattering.outcomes[1]->message == "sorry");
}

TEST_CASE("an error without words may lie anywhere") {
  Scattering scattering;
  ResultWriter results = ResultWriter().AddError(kAllRequests, 1, "");
  results.errors[0].record.offset = ~uint64_t{0} - (uint64_t{1} << 40);
  scattering.Run(results);
  CHECK(scattering.outcomes[0]->message == "the function failed");
}

TEST_CASE("a response without parameters may say that they lie anywhere") {
  Scattering scattering;
  ResultWriter results = GoodResults().AddResponse(0, 0).AddResponse(2, 0);
  results.responses[0].record.meta_offset = ~uint64_t{0} - (uint64_t{1} << 40);
  results.responses[1].record.meta_offset = uint64_t{1} << 63;
  scattering.Run(results);
  CheckOutput(*scattering.outcomes[0], "NUMBERS", {2, 2}, Pack<int32_t>({1, 2, 3, 4}));
  CheckOutput(*scattering.outcomes[2], "NUMBERS", {1, 2}, Pack<int32_t>({5, 6}));
}

TEST_CASE("an error of megabytes is told in short") {
  Scattering scattering;
  scattering.Run(ResultWriter().AddError(kAllRequests, 1, std::string(40'000, 'x')));
  CHECK(scattering.outcomes[0]->message.size() <= 16 * 1024);
  CHECK(scattering.outcomes[0]->message.size() > 4 * 1024);
}

TEST_CASE("who gets no memory for an output gets an error, the others their results") {
  Scattering scattering;
  scattering.handles[0]->refused_output = "TEXT";
  scattering.Run(GoodResults());
  CHECK(scattering.outcomes[0]->error == TRITONSERVER_ERROR_UNAVAILABLE);
  CHECK(scattering.outcomes[0]->message == "no memory for this output");
  CheckOutput(*scattering.outcomes[2], "TEXT", {1}, PackStrings({"ccc"}));
}

TEST_CASE("who wants results in memory of a GPU gets an error, the others their results") {
  Scattering scattering;
  scattering.handles[2]->output_memory = TRITONSERVER_MEMORY_GPU;
  scattering.handles[0]->output_memory = TRITONSERVER_MEMORY_CPU_PINNED;
  scattering.Run(GoodResults());
  CHECK(scattering.outcomes[2]->error == TRITONSERVER_ERROR_UNSUPPORTED);
  CHECK(testing::Contains(scattering.outcomes[2]->message, "\"NUMBERS\" is wanted in GPU memory"));
  CheckOutput(*scattering.outcomes[0], "NUMBERS", {2, 2}, Pack<int32_t>({1, 2, 3, 4}));
}

TEST_CASE("a response that Triton does not make") {
  Scattering scattering;
  scattering.handles[0]->refused_responses = 1;
  scattering.Run(GoodResults());
  CHECK(scattering.outcomes[0]->error == TRITONSERVER_ERROR_INTERNAL);
  CheckOutput(*scattering.outcomes[2], "NUMBERS", {1, 2}, Pack<int32_t>({5, 6}));
}

TEST_CASE("a request that Triton makes no response for at all is given back nonetheless") {
  auto handle = std::make_unique<TRITONBACKEND_Request>();
  handle->refused_responses = 100;
  const auto outcome = handle->outcome;
  {
    Request request(handle.release());
    request.Fail(Failure(Code::kInternal, "sorry"));
  }
  CHECK(outcome->releases == 1);
  CHECK(outcome->responses == 0);
}

TEST_CASE("a request that nobody answered is answered when it is dropped") {
  auto handle = std::make_unique<TRITONBACKEND_Request>();
  const auto outcome = handle->outcome;
  {
    Request first(handle.release());
    Request second(std::move(first));
    Request third(new TRITONBACKEND_Request);
    third = std::move(second);
  }
  CHECK(outcome->releases == 1);
  CHECK(outcome->responses == 1);
  CHECK(outcome->message == "the request was dropped");
}

TEST_CASE("lengths of strings that lie end the batch, whose requests are answered by its owner") {
  Scattering scattering;
  ResultWriter results = GoodResults();
  results.tensors[1].data[kListHead + 1] = std::byte{200};
  CHECK_THROWS_AS(scattering.Run(results), ProtocolError);
}

}  // namespace pytriton
