// SPDX-License-Identifier: Apache-2.0
#include "backend/batch.h"

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <memory>
#include <vector>

#include "core/failure.h"
#include "result_writer.h"
#include "serving.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Bytes;
using testing::Pack;
using testing::Requests;
using testing::ResultWriter;
using testing::Serving;
using testing::Times;

constexpr uint32_t kInt32 = TRITONSERVER_TYPE_INT32;

uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                               std::chrono::nanoseconds(1));
}

bool InOrder(const Times& times) {
  return times.exec_start <= times.compute_start && times.compute_start <= times.compute_end &&
         times.compute_end <= times.exec_end && times.exec_end <= Now();
}

// A batch in memory that is nobody's but the test's.
class LooseBatch {
 public:
  LooseBatch(Serving& serving, const Requests& requests)
      : batch(std::make_unique<Batch>(serving.model(), &serving.handle(), requests.handles)) {
    blocks_ = {{0, Allocator::SizeClass(batch->BlockSize() + batch->ResultRoom() + 4096)}};
    memory_ = Bytes(blocks_[0].length);
  }

  void CopyInputs() { batch->CopyInputs({1, blocks_[0], memory_.data()}); }
  // Delivers results that a worker wrote behind the inputs.
  void Deliver(const ResultWriter& results, uint64_t begin_ns, uint64_t end_ns,
               uint32_t flags = kFlagFinal | kFlagReleased) {
    BlockHeader header;
    std::memcpy(&header, memory_.data(), sizeof(header));
    Message message = results.Write(memory_.data(), {header.free_offset, header.free_length});
    message.begin_ns = begin_ns;
    message.end_ns = end_ns;
    message.flags = flags;
    batch->OnResult({memory_.data(), blocks_}, message);
  }

  std::unique_ptr<Batch> batch;

 private:
  std::vector<Block> blocks_;
  Bytes memory_;
};

ResultWriter Doubled() {
  return ResultWriter().Add(0, kAllRequests, kInt32, {3, 2}, Pack<int32_t>({2, 4, 6, 8, 10, 12}));
}

}  // namespace

TEST_CASE(
    "the statistics of a batch: a report for each request and one for the batch, with the worker's times") {
  Serving serving;
  const Requests requests = Requests().Add({1, 2, 3, 4}).Add({5, 6});
  LooseBatch loose(serving, requests);
  loose.CopyInputs();
  const uint64_t begin = Now();
  const uint64_t end = Now();
  loose.Deliver(Doubled(), begin, end);
  loose.batch.reset();

  REQUIRE(requests.Answered());
  CHECK(requests.outcomes[0]->outputs.at("Y").data == Pack<int32_t>({2, 4, 6, 8}));
  for (const auto& outcome : requests.outcomes) {
    REQUIRE(outcome->statistics.size() == 1);
    CHECK(outcome->statistics[0].first);
    CHECK(InOrder(outcome->statistics[0].second));
    CHECK(outcome->statistics[0].second.compute_start == begin);
    CHECK(outcome->statistics[0].second.compute_end == end);
  }
  REQUIRE(serving.handle().Batches().size() == 1);
  CHECK(serving.handle().Batches()[0].first == 3);
  CHECK(InOrder(serving.handle().Batches()[0].second));
  CHECK(serving.model().Counters() == "m 1 batches=1 requests=2 bytes_in=24 bytes_out=24 failed=0");
}

TEST_CASE("requests are given back as they are answered, the last one when the batch is done") {
  Serving serving;
  const Requests requests = Requests().Add({1, 2}).Add({3, 4}).Add({5, 6});
  LooseBatch loose(serving, requests);
  loose.CopyInputs();
  loose.Deliver(Doubled(), Now(), Now());
  CHECK(requests.outcomes[0]->released_now());
  CHECK(requests.outcomes[1]->released_now());
  CHECK_FALSE(requests.outcomes[2]->released_now());
  CHECK(serving.handle().Batches().empty());
  loose.batch.reset();
  REQUIRE(requests.Answered());
  for (const auto& outcome : requests.outcomes) {
    CHECK(outcome->statistics.size() == 1);
  }
  CHECK(serving.handle().Batches().size() == 1);
}

TEST_CASE("times that a worker makes up are put in order") {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  const std::pair<uint64_t, uint64_t> lies[] = {{0, 0},     {kMost, kMost}, {kMost, 0},
                                                {0, kMost}, {1, 2},         {Now(), 1}};
  for (const auto& [begin, end] : lies) {
    Serving serving;
    const Requests requests = Requests().Add({1, 2, 3, 4, 5, 6});
    LooseBatch loose(serving, requests);
    loose.CopyInputs();
    loose.Deliver(Doubled(), begin, end);
    loose.batch.reset();
    REQUIRE(requests.Answered());
    CHECK(InOrder(requests.outcomes[0]->statistics.at(0).second));
    CHECK(InOrder(serving.handle().Batches().at(0).second));
  }
}

TEST_CASE("a batch that failed reports its requests and no batch") {
  Serving serving;
  const Requests requests = Requests().Add({1, 2}).Add({3, 4});
  LooseBatch loose(serving, requests);
  SUBCASE("after its inputs were copied") {
    loose.CopyInputs();
  }
  SUBCASE("before") {}
  loose.batch->OnFailure(Failure(Code::kUnavailable, "gone"));
  loose.batch->OnFailure(Failure(Code::kInternal, "again"));
  loose.batch.reset();
  REQUIRE(requests.Answered());
  for (const auto& outcome : requests.outcomes) {
    CHECK(outcome->error == TRITONSERVER_ERROR_UNAVAILABLE);
    CHECK(outcome->message == "gone");
    REQUIRE(outcome->statistics.size() == 1);
    CHECK_FALSE(outcome->statistics[0].first);
    CHECK(InOrder(outcome->statistics[0].second));
  }
  CHECK(serving.handle().Batches().empty());
}

TEST_CASE("a batch of which some requests failed reports which") {
  Serving serving;
  const Requests requests = Requests().Add({1, 2, 3, 4}).Add({5, 6});
  LooseBatch loose(serving, requests);
  loose.CopyInputs();
  ResultWriter results = Doubled();
  results.AddError(1, 1, "not this one");
  loose.Deliver(results, Now(), Now());
  loose.batch.reset();
  REQUIRE(requests.Answered());
  CHECK(requests.outcomes[0]->statistics.at(0).first);
  CHECK_FALSE(requests.outcomes[1]->statistics.at(0).first);
  CHECK(serving.handle().Batches().size() == 1);
}

TEST_CASE("a batch whose results are nonsense is answered by its failure") {
  Serving serving;
  const Requests requests = Requests().Add({1, 2, 3, 4}).Add({5, 6});
  LooseBatch loose(serving, requests);
  loose.CopyInputs();
  ResultWriter results = Doubled();
  results.tensors[0].record.length = 1000;
  CHECK_THROWS_AS(loose.Deliver(results, Now(), Now()), ProtocolError);
  loose.batch->OnFailure(Failure(Code::kUnavailable, "gone"));
  loose.batch.reset();
  CHECK(requests.Answered());
}

TEST_CASE("a model that answers once takes no result but the final one") {
  Serving serving;
  const Requests requests = Requests().Add({1, 2, 3, 4}).Add({5, 6});
  LooseBatch loose(serving, requests);
  loose.CopyInputs();
  CHECK_THROWS_AS(loose.Deliver(Doubled(), Now(), Now(), 0), ProtocolError);
  CHECK_THROWS_AS(loose.Deliver(Doubled(), Now(), Now(), kFlagReleased), ProtocolError);
  loose.batch->OnFailure(Failure(Code::kUnavailable, "gone"));
  loose.batch.reset();
  CHECK(requests.Answered());
}

TEST_CASE("a batch that is dropped answers its requests") {
  Serving serving;
  const Requests requests = Requests().Add({1, 2}).Add({3, 4});
  {
    const LooseBatch dropped(serving, requests);
  }
  CHECK(requests.Answered());
}

TEST_CASE("requests that are unfit leave the batch, and it may be empty") {
  Serving serving;
  auto unfit = Serving::MakeRequest({1, 2});
  unfit->inputs[0].shape = {1, 3};
  Requests requests;
  requests.Add(std::move(unfit));
  SUBCASE("with others") {
    requests.Add({3, 4, 5, 6, 7, 8});
    LooseBatch loose(serving, requests);
    CHECK_FALSE(loose.batch->empty());
    loose.CopyInputs();
    loose.Deliver(Doubled(), Now(), Now());
    loose.batch.reset();
    CHECK_FALSE(requests.outcomes[1]->error);
  }
  SUBCASE("alone") {
    const LooseBatch loose(serving, requests);
    CHECK(loose.batch->empty());
  }
  CHECK(requests.Answered());
  CHECK(requests.outcomes[0]->error == TRITONSERVER_ERROR_INVALID_ARG);
}

TEST_CASE("the next batch has room for the results that this one needed") {
  Serving serving;
  const Requests requests = Requests().Add({1, 2, 3, 4, 5, 6});
  LooseBatch loose(serving, requests);
  const uint64_t before = loose.batch->ResultRoom();
  loose.CopyInputs();
  loose.Deliver(ResultWriter().Add(0, kAllRequests, kInt32, {3, 250}, Bytes(3000)), Now(), Now());
  loose.batch.reset();
  const Requests next = Requests().Add({1, 2, 3, 4, 5, 6});
  const LooseBatch later(serving, next);
  CHECK(later.batch->ResultRoom() >= before + 3000);
}

}  // namespace pytriton
