// SPDX-License-Identifier: Apache-2.0
#include "backend/gather.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "block_reader.h"
#include "fake_triton.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Bytes;
using testing::Contains;
using testing::Cut;
using testing::Outcome;
using testing::Pack;
using testing::PackStrings;
using testing::ReadBlock;

constexpr TRITONSERVER_DataType kInt32 = TRITONSERVER_TYPE_INT32;
constexpr TRITONSERVER_DataType kBytes = TRITONSERVER_TYPE_BYTES;

Binding MakeBinding() {
  Binding binding;
  binding.inputs = {{"NUMBERS", kInt32, 1}, {"TEXT", kBytes, 0}, {"EXTRA", TRITONSERVER_TYPE_UINT8, 1}};
  binding.outputs = {{"A", kInt32, 1}, {"B", kBytes, 0}};
  return binding;
}

TRITONBACKEND_Input Numbers(std::vector<int64_t> shape, std::vector<Bytes> buffers) {
  return {"NUMBERS", kInt32, std::move(shape), std::move(buffers)};
}

std::unique_ptr<TRITONBACKEND_Request> MakeRequest(std::vector<TRITONBACKEND_Input> inputs) {
  auto request = std::make_unique<TRITONBACKEND_Request>();
  request->inputs = std::move(inputs);
  request->outputs = {"A", "B"};
  return request;
}

// A batch on its way into memory of the exact size that it says it needs.
class Gathering {
 public:
  explicit Gathering(Binding binding = MakeBinding()) : binding_(std::move(binding)) {}

  std::shared_ptr<Outcome> Add(std::unique_ptr<TRITONBACKEND_Request> request) {
    auto outcome = request->outcome;
    requests.push_back({Request(request.release()), 1, {}});
    return outcome;
  }

  ReadBlock Run(uint64_t result_bytes = 0) {
    gather_ = std::make_unique<Gather>(binding_, requests);
    const uint64_t size = gather_->BlockSize() + result_bytes;
    constexpr uint64_t kStart = 4096;
    memory_ = Bytes(kStart + size);
    copied = gather_->CopyInputs(memory_.data(), {kStart, size});
    return ReadBlock(memory_.data(), kStart, size);
  }

  std::vector<BatchRequest> requests;
  uint64_t copied = 0;

 private:
  Binding binding_;
  std::unique_ptr<Gather> gather_;
  Bytes memory_;
};

void CheckFails(std::unique_ptr<TRITONBACKEND_Request> request, TRITONSERVER_Error_Code code,
                const std::string& why, Binding binding = MakeBinding()) {
  Gathering gathering(std::move(binding));
  const auto outcome = gathering.Add(std::move(request));
  gathering.Run();
  CHECK(gathering.requests.empty());
  REQUIRE(outcome->Released());
  CHECK(outcome->releases == 1);
  CHECK(outcome->responses == 1);
  CHECK(outcome->error == code);
  CHECK_MESSAGE(Contains(outcome->message, why), outcome->message);
}

}  // namespace

TEST_CASE("requests of several inputs and buffers become one block of an array each") {
  Gathering gathering;
  gathering.Add(MakeRequest(
      {Numbers({1, 2}, Cut(Pack<int32_t>({1, 2}), {0, 3, 5})), {"TEXT", kBytes, {1}, {PackStrings({"a"})}}}));
  gathering.Add(MakeRequest({{"TEXT", kBytes, {2}, Cut(PackStrings({"", "bcd"}), {6})},
                             Numbers({2, 2}, {Pack<int32_t>({3, 4, 5, 6})})}));
  const ReadBlock block = gathering.Run(1000);

  CHECK(block.header.request_count == 2);
  CHECK(block.header.rows == 3);
  REQUIRE(block.inputs.size() == 2);
  CHECK(block.inputs[0].record.tensor == 0);
  CHECK(block.inputs[0].record.request == kAllRequests);
  CHECK(block.inputs[0].record.datatype == kInt32);
  CHECK(block.inputs[0].record.offset % kTensorAlignment == 0);
  CHECK(block.inputs[0].dims == std::vector<int64_t>{3, 2});
  CHECK(block.inputs[0].data == Pack<int32_t>({1, 2, 3, 4, 5, 6}));
  CHECK(block.inputs[1].record.tensor == 1);
  CHECK(block.inputs[1].record.offset % kTensorAlignment == 0);
  CHECK(block.inputs[1].dims == std::vector<int64_t>{3});
  CHECK(block.inputs[1].Strings() == std::vector<std::string>{"a", "", "bcd"});
  CHECK(block.requests[0].record.rows == 1);
  CHECK(block.requests[1].record.rows == 2);
  CHECK(block.header.free_length >= 1000 + sizeof(ResultHeader) + 2 * sizeof(TensorRecord));
  CHECK(block.header.free_offset % kTensorAlignment == 0);
  CHECK(gathering.copied == 24 + 4);
}

TEST_CASE("ids, parameters of every type, timeouts and requested outputs arrive") {
  Gathering gathering;
  auto request = MakeRequest({Numbers({1, 1}, {Pack<int32_t>({1})})});
  request->id = "the id";
  request->timeout_us = 12345;
  request->outputs = {"B", "A"};
  request->parameters = {{"text", std::string("välue")},
                         {"empty", std::string()},
                         {"int", int64_t{-5}},
                         {"yes", true},
                         {"no", false},
                         {"real", 0.5}};
  gathering.Add(std::move(request));
  request = MakeRequest({Numbers({1, 1}, {Pack<int32_t>({1})})});
  request->outputs = {};
  gathering.Add(std::move(request));
  const ReadBlock block = gathering.Run();

  const ReadBlock::Request& first = block.requests[0];
  CHECK(first.id == "the id");
  CHECK(first.record.timeout_us == 12345);
  CHECK(first.outputs == std::vector<uint32_t>{1, 0});
  REQUIRE(first.parameters.size() == 6);
  const auto plain = [](const auto& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  using Parameter = std::pair<ParameterType, std::string>;
  CHECK(first.parameters.at("text") == Parameter{ParameterType::kString, "välue"});
  CHECK(first.parameters.at("empty") == Parameter{ParameterType::kString, ""});
  CHECK(first.parameters.at("int") == Parameter{ParameterType::kInt, plain(int64_t{-5})});
  CHECK(first.parameters.at("yes") == Parameter{ParameterType::kBool, plain(true)});
  CHECK(first.parameters.at("no") == Parameter{ParameterType::kBool, plain(false)});
  CHECK(first.parameters.at("real") == Parameter{ParameterType::kDouble, plain(0.5)});
  CHECK(block.requests[1].outputs.empty());
  CHECK(block.requests[1].id.empty());
  CHECK(block.requests[1].parameters.empty());
}

TEST_CASE("the trace of a request arrives, behind its parameters") {
  Gathering gathering;
  auto request = MakeRequest({Numbers({1, 1}, {Pack<int32_t>({1})})});
  request->parameters = {{"text", std::string("value")}};
  request->trace.context = R"({"traceparent":"00-1-2-01"})";
  gathering.Add(std::move(request));
  request = MakeRequest({Numbers({1, 1}, {Pack<int32_t>({1})})});
  request->trace.refused = true;
  gathering.Add(std::move(request));
  gathering.Add(MakeRequest({Numbers({1, 1}, {Pack<int32_t>({1})})}));
  const ReadBlock block = gathering.Run();
  CHECK(block.requests[0].trace == R"({"traceparent":"00-1-2-01"})");
  CHECK(block.requests[0].parameters.size() == 1);
  CHECK(block.requests[1].trace.empty());
  CHECK(block.requests[2].trace.empty());
}

TEST_CASE("a parameter of no type that a worker knows") {
  auto request = MakeRequest({Numbers({1, 1}, {Pack<int32_t>({1})})});
  request->parameters = {{"blob", Bytes(3)}};
  CheckFails(std::move(request), TRITONSERVER_ERROR_UNSUPPORTED, "parameter \"blob\"");
}

TEST_CASE("optional inputs may be missing") {
  Gathering some;
  some.Add(MakeRequest({{"EXTRA", TRITONSERVER_TYPE_UINT8, {2, 1}, {Pack<uint8_t>({8, 9})}}}));
  const ReadBlock block = some.Run();
  REQUIRE(block.inputs.size() == 1);
  CHECK(block.inputs[0].record.tensor == 2);
  CHECK(block.header.rows == 2);
}

TEST_CASE("without any input there is no batch size, unless the model does not batch") {
  CheckFails(MakeRequest({}), TRITONSERVER_ERROR_INVALID_ARG, "no batch size");

  Binding binding = MakeBinding();
  binding.batching = false;
  Gathering gathering(binding);
  gathering.Add(MakeRequest({}));
  const ReadBlock block = gathering.Run();
  CHECK(block.inputs.empty());
  CHECK(block.header.request_count == 1);
}

TEST_CASE("a model that does not batch gets shapes as they are, scalars too") {
  Binding binding = MakeBinding();
  binding.batching = false;
  Gathering gathering(binding);
  gathering.Add(
      MakeRequest({Numbers({3}, {Pack<int32_t>({1, 2, 3})}), {"TEXT", kBytes, {}, {PackStrings({"x"})}}}));
  const ReadBlock block = gathering.Run();
  CHECK(block.header.rows == 1);
  CHECK(block.requests[0].record.rows == 1);
  CHECK(block.inputs[0].dims == std::vector<int64_t>{3});
  CHECK(block.inputs[1].dims.empty());
  CHECK(block.inputs[1].Strings() == std::vector<std::string>{"x"});
}

TEST_CASE("two requests to a model that does not batch are not run as one") {
  Binding binding = MakeBinding();
  binding.batching = false;
  Gathering gathering(binding);
  gathering.Add(MakeRequest({Numbers({1}, {Pack<int32_t>({1})})}));
  const auto second = gathering.Add(MakeRequest({Numbers({1}, {Pack<int32_t>({2})})}));
  CHECK(gathering.Run().inputs[0].data == Pack<int32_t>({1}));
  REQUIRE(second->Released());
  CHECK(second->error == TRITONSERVER_ERROR_INTERNAL);
}

TEST_CASE("requests without rows, for which Triton drops the batch dimension") {
  SUBCASE("with the dimension, as it should be") {
    Gathering gathering;
    gathering.Add(MakeRequest({Numbers({0, 4}, {})}));
    const ReadBlock block = gathering.Run();
    CHECK(block.header.rows == 0);
    CHECK(block.inputs[0].dims == std::vector<int64_t>{0, 4});
  }
  SUBCASE("without it, as Triton gives it") {
    Gathering gathering;
    gathering.Add(MakeRequest({Numbers({4}, {Bytes{}})}));
    gathering.Add(MakeRequest({Numbers({2, 4}, {Pack<int32_t>({1, 2, 3, 4, 5, 6, 7, 8})})}));
    gathering.Add(MakeRequest({Numbers({4}, {})}));
    const ReadBlock block = gathering.Run();
    REQUIRE(block.header.request_count == 3);
    CHECK(block.header.rows == 2);
    CHECK(block.requests[0].record.rows == 0);
    CHECK(block.requests[1].record.rows == 2);
    CHECK(block.inputs[0].dims == std::vector<int64_t>{2, 4});
  }
}

TEST_CASE("a request that is not like the others is failed alone") {
  const auto odd_one = [](std::vector<TRITONBACKEND_Input> inputs) {
    Gathering gathering;
    gathering.Add(MakeRequest({Numbers({1, 2}, {Pack<int32_t>({1, 2})})}));
    const auto odd = gathering.Add(MakeRequest(std::move(inputs)));
    gathering.Add(MakeRequest({Numbers({1, 2}, {Pack<int32_t>({3, 4})})}));
    const ReadBlock block = gathering.Run();
    CHECK(block.header.rows == 2);
    CHECK(block.inputs.at(0).data == Pack<int32_t>({1, 2, 3, 4}));
    REQUIRE(odd->Released());
    CHECK(odd->responses == 1);
    CHECK(odd->releases == 1);
    CHECK(odd->error.has_value());
  };
  odd_one({Numbers({1, 3}, {Pack<int32_t>({1, 2, 3})})});
  odd_one({Numbers({1, 1, 2}, {Pack<int32_t>({1, 2})})});
  odd_one({});
  odd_one({{"TEXT", kBytes, {1}, {PackStrings({"x"})}}});
  odd_one({Numbers({1, 2}, {Pack<int32_t>({1, 2})}), {"TEXT", kBytes, {1}, {PackStrings({"x"})}}});
  odd_one({{"NUMBERS", TRITONSERVER_TYPE_FP32, {1, 2}, {Pack<int32_t>({1, 2})}}});
}

TEST_CASE("inputs that are not what they say") {
  const auto invalid = TRITONSERVER_ERROR_INVALID_ARG;
  CheckFails(MakeRequest({Numbers({1, 2}, {Pack<int32_t>({1})})}), invalid,
             "has 4 bytes where its shape needs 8");
  CheckFails(MakeRequest({Numbers({1, 2}, {})}), invalid, "has 0 bytes");
  CheckFails(MakeRequest({Numbers({1, 2}, {Pack<int32_t>({1, 2, 3})})}), invalid, "has 12 bytes");
  CheckFails(MakeRequest({{"OTHER", kInt32, {1, 1}, {Pack<int32_t>({1})}}}), invalid, "no input \"OTHER\"");
  CheckFails(MakeRequest({Numbers({1, -1}, {})}), invalid, "-1");
  const int64_t huge = int64_t{1} << 62;
  for (const auto& dims :
       {std::vector<int64_t>{huge, 1}, {2, huge}, {huge, huge}, {1, 0, huge}, {huge, huge, 0}}) {
    CheckFails(MakeRequest({Numbers(dims, {})}), invalid, "no tensor can have");
  }
  CheckFails(MakeRequest({{"TEXT", kBytes, {2}, {PackStrings({"x"})}}}), invalid, "end within element 1");
  CheckFails(MakeRequest({{"NUMBERS", TRITONSERVER_TYPE_FP32, {1, 1}, {Pack<int32_t>({1})}}}), invalid,
             "data type");
  CheckFails(MakeRequest({{"NUMBERS", TRITONSERVER_TYPE_INVALID, {1, 1}, {}}}), invalid, "data type");
}

TEST_CASE("inputs of one request that disagree about its rows") {
  CheckFails(
      MakeRequest({Numbers({2, 1}, {Pack<int32_t>({1, 2})}), {"TEXT", kBytes, {1}, {PackStrings({"x"})}}}),
      TRITONSERVER_ERROR_INVALID_ARG, "rows");
}

TEST_CASE("more dimensions than a record has room for") {
  Binding binding = MakeBinding();
  binding.inputs[0].rank = 16;
  CheckFails(MakeRequest({Numbers(std::vector<int64_t>(17, 1), {Pack<int32_t>({1})})}),
             TRITONSERVER_ERROR_INVALID_ARG, "dimensions", binding);
  binding.batching = false;
  CheckFails(MakeRequest({Numbers(std::vector<int64_t>(40, 1), {Pack<int32_t>({1})})}),
             TRITONSERVER_ERROR_INVALID_ARG, "dimensions", binding);
  Gathering gathering(binding);
  gathering.Add(MakeRequest({Numbers(std::vector<int64_t>(16, 1), {Pack<int32_t>({1})})}));
  CHECK(gathering.Run().inputs[0].dims.size() == 16);
}

TEST_CASE("inputs in memory of a GPU") {
  auto request = MakeRequest({Numbers({1, 1}, {Pack<int32_t>({1})})});
  request->inputs[0].memory = TRITONSERVER_MEMORY_GPU;
  CheckFails(std::move(request), TRITONSERVER_ERROR_UNSUPPORTED, "\"NUMBERS\" is in GPU memory");
}

}  // namespace pytriton
