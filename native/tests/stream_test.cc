// SPDX-License-Identifier: Apache-2.0
//
// Batches of models that give any number of responses, and cancellation.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backend/batch.h"
#include "core/failure.h"
#include "result_writer.h"
#include "serving.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Eventually;
using testing::FakeWorker;
using testing::Outcome;
using testing::Pack;
using testing::PackParameter;
using testing::Requests;
using testing::ResultWriter;
using testing::Serving;

constexpr uint32_t kInt32 = TRITONSERVER_TYPE_INT32;

// A worker that has a batch of a model that streams.
class Streaming {
 public:
  explicit Streaming(const Requests& requests, bool decoupled = true)
      : serving_(1 << 20, true, decoupled), worker_(serving_.AttachWorker(4)), instance_(Make()) {
    instance_->Execute(requests.handles);
    execute_ = worker_.Receive(Kind::kExecute);
  }

  bool Step(const ResultWriter& results) const { return worker_.Answer(execute_, results, 0); }
  bool End() const { return worker_.Send(Kind::kResult, execute_.slot, 0, kFlagFinal | kFlagReleased); }
  // Returns when the server has dealt with everything so far.
  void Sync() const {
    worker_.Send(Kind::kSync, execute_.slot);
    worker_.Receive(Kind::kSynced);
  }
  BlockHeader Header() const {
    BlockHeader header;
    std::memcpy(&header, worker_.base() + execute_.offset, sizeof(header));
    return header;
  }
  uint32_t FlagsOf(uint32_t request) const {
    RequestRecord record;
    std::memcpy(&record, worker_.base() + Header().requests_offset + request * sizeof(record),
                sizeof(record));
    return record.flags;
  }

  Serving& serving() { return serving_; }
  FakeWorker& worker() { return worker_; }
  const Message& execute() const { return execute_; }

 private:
  std::unique_ptr<Instance> Make() {
    return std::make_unique<Instance>(serving_.model(), &serving_.handle());
  }

  Serving serving_;
  FakeWorker worker_;
  std::unique_ptr<Instance> instance_;
  Message execute_{};
};

ResultWriter Number(uint32_t request, int32_t value) {
  return ResultWriter().Add(0, request, kInt32, {1, 1}, Pack<int32_t>({value}));
}

testing::Bytes Y(const Outcome& outcome, size_t index) {
  return outcome.sent.at(index).outputs.at("Y").data;
}

}  // namespace

TEST_CASE("every step is a response, and the end is none") {
  const Requests requests = Requests().Add({1, 2});
  Streaming stream(requests);
  for (int32_t value = 0; value < 3; ++value) {
    REQUIRE(stream.Step(Number(kAllRequests, value)));
    stream.Sync();
    CHECK(stream.Header().results_taken == static_cast<uint64_t>(value) + 1);
  }
  CHECK_FALSE(requests.outcomes[0]->released_now());
  stream.End();

  const Outcome& outcome = *requests.outcomes[0];
  REQUIRE(requests.outcomes[0]->Released());
  CHECK(outcome.responses == 3);
  CHECK(outcome.finals == 1);
  REQUIRE(outcome.sent.size() == 3);
  for (int32_t value = 0; value < 3; ++value) {
    CHECK(Y(outcome, static_cast<size_t>(value)) == Pack<int32_t>({value}));
    CHECK_FALSE(outcome.sent[static_cast<size_t>(value)].final);
  }
  REQUIRE(outcome.statistics.size() == 1);
  CHECK(outcome.statistics[0].first);
}

TEST_CASE("the final message may hold a response as well") {
  const Requests requests = Requests().Add({1, 2});
  Streaming stream(requests);
  stream.worker().Answer(stream.execute(), Number(kAllRequests, 5));
  REQUIRE(requests.outcomes[0]->Released());
  CHECK(requests.outcomes[0]->responses == 1);
  CHECK(requests.outcomes[0]->finals == 1);
  CHECK_FALSE(requests.outcomes[0]->sent.at(0).final);
}

TEST_CASE("requests of one batch get different numbers of responses") {
  const Requests requests = Requests().Add({1, 2}).Add({3, 4}).Add({5, 6});
  Streaming stream(requests);
  stream.Step(Number(0, 1).AddResponse(0, kResponseLast).AddResponse(1, kResponseNone).AddError(2, 3, "no"));
  stream.Sync();
  CHECK(requests.outcomes[0]->finals == 1);
  CHECK(requests.outcomes[2]->error == TRITONSERVER_ERROR_INVALID_ARG);
  // What is said of those that have ended does not count.
  stream.Step(
      ResultWriter().Add(0, kAllRequests, kInt32, {3, 1}, Pack<int32_t>({7, 8, 9})).AddError(2, 1, "again"));
  stream.End();
  for (const auto& outcome : requests.outcomes) {
    REQUIRE(outcome->Released());
    CHECK(outcome->finals == 1);
    CHECK(outcome->responses == 1);
  }
  CHECK(Y(*requests.outcomes[0], 0) == Pack<int32_t>({1}));
  CHECK(Y(*requests.outcomes[1], 0) == Pack<int32_t>({8}));
  CHECK(requests.outcomes[2]->message == "no");
}

TEST_CASE("responses carry parameters") {
  const Requests requests = Requests().Add({1, 2});
  Streaming stream(requests);
  const int64_t whole = -5;
  const double real = 0.25;
  const std::string parameters =
      PackParameter("s", ParameterType::kString, "text") +
      PackParameter("i", ParameterType::kInt, std::string(reinterpret_cast<const char*>(&whole), 8)) +
      PackParameter("b", ParameterType::kBool, std::string(1, 1)) +
      PackParameter("f", ParameterType::kDouble, std::string(reinterpret_cast<const char*>(&real), 8));
  stream.Step(Number(0, 1).AddResponse(0, 0, parameters, 4));
  stream.End();
  REQUIRE(requests.outcomes[0]->Released());
  const auto& sent = requests.outcomes[0]->sent.at(0).parameters;
  CHECK(sent.size() == 4);
  CHECK(std::get<std::string>(sent.at("s")) == "text");
  CHECK(std::get<int64_t>(sent.at("i")) == -5);
  CHECK(std::get<bool>(sent.at("b")));
  CHECK(std::get<double>(sent.at("f")) == 0.25);
}

TEST_CASE("responses that make no sense end the connection") {
  const std::string whole = PackParameter("key", ParameterType::kString, "value");
  const std::vector<ResultWriter> nonsense = {
      Number(0, 1).AddResponse(1, 0),
      Number(0, 1).AddResponse(0, 0, whole, 2),
      Number(0, 1).AddResponse(0, 0, whole.substr(0, whole.size() - 1), 1),
      Number(0, 1).AddResponse(0, 0, PackParameter("key", ParameterType::kInt, "short"), 1),
      Number(0, 1).AddResponse(0, 0, PackParameter("key", static_cast<ParameterType>(9), "value"), 1),
  };
  for (const ResultWriter& results : nonsense) {
    const Requests requests = Requests().Add({1, 2});
    Streaming stream(requests);
    stream.Step(results);
    CHECK(stream.worker().SeesEnd());
    REQUIRE(requests.outcomes[0]->Released());
    CHECK(requests.outcomes[0]->finals == 1);
    CHECK(requests.outcomes[0]->error == TRITONSERVER_ERROR_UNAVAILABLE);
  }
}

TEST_CASE("a worker that goes in mid-stream fails the stream") {
  const Requests requests = Requests().Add({1, 2});
  Streaming stream(requests);
  stream.Step(Number(kAllRequests, 1));
  stream.Sync();
  stream.worker().Disconnect();
  REQUIRE(requests.outcomes[0]->Released());
  CHECK(requests.outcomes[0]->responses == 2);
  CHECK(requests.outcomes[0]->finals == 1);
  CHECK(requests.outcomes[0]->error == TRITONSERVER_ERROR_UNAVAILABLE);
}

TEST_CASE("a question about a slot that is not in use ends the connection") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker();
  worker.Send(Kind::kSync, 7);
  CHECK(worker.SeesEnd());
}

TEST_CASE("a request that was cancelled before it was run is not run") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker(2);
  Instance instance(serving.model(), &serving.handle());
  Requests requests = Requests().Add({1, 2}).Add({3, 4});
  requests.handles[0]->cancelled = true;
  SUBCASE("others are") {
    instance.Execute(requests.handles);
    const Message execute = worker.Receive(Kind::kExecute);
    worker.Answer(execute, Number(kAllRequests, 1));
    CHECK(requests.Answered());
    CHECK_FALSE(requests.outcomes[1]->error);
  }
  SUBCASE("nor are others that were too") {
    requests.handles[1]->cancelled = true;
    instance.Execute(requests.handles);
    CHECK(requests.Answered());
    CHECK(requests.outcomes[1]->error == TRITONSERVER_ERROR_CANCELLED);
  }
  CHECK(requests.outcomes[0]->error == TRITONSERVER_ERROR_CANCELLED);
}

TEST_CASE("requests that are cancelled while they wait for a worker are not run") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker(1);
  Instance busy(serving.model(), &serving.handle());
  Instance waiting(serving.model(), &serving.handle());
  const Requests first = Requests().Add({1, 2});
  const Requests second = Requests().Add({3, 4});
  std::thread running([&] { busy.Execute(first.handles); });
  const Message execute = worker.Receive(Kind::kExecute);
  std::thread queued([&] { waiting.Execute(second.handles); });
  second.handles[0]->cancelled = true;
  worker.Answer(execute, Number(kAllRequests, 1));
  running.join();
  queued.join();
  REQUIRE(second.outcomes[0]->Released());
  CHECK(second.outcomes[0]->error == TRITONSERVER_ERROR_CANCELLED);
  CHECK_FALSE(first.outcomes[0]->error);
}

TEST_CASE("a worker sees which of its requests are cancelled, and is told") {
  for (const bool decoupled : {true, false}) {
    const Requests requests = Requests().Add({1, 2}).Add({3, 4});
    Streaming stream(requests, decoupled);
    CHECK(stream.FlagsOf(0) == 0);
    requests.handles[1]->cancelled = true;
    CHECK(stream.worker().Receive(Kind::kCancelled).slot == stream.execute().slot);
    CHECK(stream.FlagsOf(0) == 0);
    CHECK(stream.FlagsOf(1) == kRequestCancelled);
    stream.worker().Answer(stream.execute(),
                           ResultWriter().Add(0, kAllRequests, kInt32, {2, 1}, Pack<int32_t>({1, 2})));
    for (const auto& outcome : requests.outcomes) {
      REQUIRE(outcome->Released());
      CHECK(outcome->finals == 1);
    }
    CHECK_FALSE(requests.outcomes[0]->error);
    CHECK(requests.outcomes[1]->error.has_value() == decoupled);
  }
}

TEST_CASE("a stream that is cancelled ends with that") {
  const Requests requests = Requests().Add({1, 2});
  Streaming stream(requests);
  stream.Step(Number(kAllRequests, 1));
  stream.Sync();
  requests.handles[0]->cancelled = true;
  stream.worker().Receive(Kind::kCancelled);
  SUBCASE("at the next step") {
    stream.Step(Number(kAllRequests, 2));
    stream.Sync();
    CHECK(requests.outcomes[0]->finals == 1);
  }
  SUBCASE("at the end") {}
  stream.End();
  REQUIRE(requests.outcomes[0]->Released());
  CHECK(requests.outcomes[0]->error == TRITONSERVER_ERROR_CANCELLED);
  CHECK(requests.outcomes[0]->responses == 2);
  CHECK(requests.outcomes[0]->finals == 1);
  CHECK_FALSE(requests.outcomes[0]->statistics.at(0).first);
}

TEST_CASE("the statistics of responses: one for each, and one for the end") {
  const Requests requests = Requests().Add({1, 2}).Add({3, 4});
  Streaming stream(requests);
  stream.Step(Number(0, 1).AddError(1, 3, "no"));
  stream.Sync();  // the next one is written to the same place
  stream.Step(Number(0, 2));
  stream.End();
  REQUIRE(requests.outcomes[0]->Released());
  REQUIRE(requests.outcomes[1]->Released());
  const auto& answered = requests.outcomes[0]->response_statistics;
  REQUIRE(answered.size() == 3);
  uint64_t last = 0;
  for (size_t index = 0; index < 3; ++index) {
    CHECK_FALSE(answered[index].failed);
    CHECK((answered[index].output_start == 0) == (index == 2));
    CHECK(answered[index].start >= last);
    last = answered[index].end;
    CHECK(last >= answered[index].output_start);
  }
  const auto& failed = requests.outcomes[1]->response_statistics;
  REQUIRE(failed.size() == 1);
  CHECK(failed[0].failed);
}

TEST_CASE("of a very long stream the first responses are in the statistics") {
  const Requests requests = Requests().Add({1, 2});
  Streaming stream(requests);
  for (int32_t value = 0; value < 1100; ++value) {
    stream.Step(Number(0, value));
    stream.Sync();
  }
  stream.End();
  REQUIRE(requests.outcomes[0]->Released());
  CHECK(requests.outcomes[0]->responses == 1100);
  CHECK(requests.outcomes[0]->response_statistics.size() == 1000);
}

}  // namespace pytriton
