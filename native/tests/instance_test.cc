// SPDX-License-Identifier: Apache-2.0
#include "backend/instance.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "block_reader.h"
#include "serving.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::FakeWorker;
using testing::kLong;
using testing::Pack;
using testing::ReadBlock;
using testing::Requests;
using testing::ResultWriter;
using testing::Serving;

// Execute in a thread of its own, as Triton calls it: it returns when the next batch could be taken.
std::future<void> Execute(Instance& instance, const Requests& requests) {
  return std::async(std::launch::async,
                    [&instance, handles = requests.handles] { instance.Execute(handles); });
}

bool Returned(const std::future<void>& call) {
  return call.wait_for(kLong) == std::future_status::ready;
}

}  // namespace

TEST_CASE("requests go through a worker and back") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker();
  Instance instance(serving.model(), &serving.handle());
  for (int round = 0; round < 3; ++round) {
    const Requests requests = Requests().Add({1, 2, 3, 4}).Add({5, 6});
    const auto call = Execute(instance, requests);
    const Message execute = worker.Receive(Kind::kExecute);
    const ReadBlock block(worker.base(), execute.offset, execute.length);
    CHECK(block.inputs.at(0).data == Pack<int32_t>({1, 2, 3, 4, 5, 6}));
    CHECK(call.wait_for(std::chrono::milliseconds(5)) == std::future_status::timeout);
    worker.Answer(execute, Serving::Echo(worker, execute));
    REQUIRE(Returned(call));
    REQUIRE(requests.Answered());
    CHECK(requests.outcomes[0]->outputs.at("Y").data == Pack<int32_t>({1, 2, 3, 4}));
    CHECK(requests.outcomes[1]->outputs.at("Y").shape == std::vector<int64_t>{1, 2});
  }
}

TEST_CASE("an error for one request leaves the other its answer") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker();
  Instance instance(serving.model(), &serving.handle());
  const Requests requests = Requests().Add({1, 2}).Add({3, 4});
  const auto call = Execute(instance, requests);
  const Message execute = worker.Receive(Kind::kExecute);
  ResultWriter results = Serving::Echo(worker, execute);
  worker.Answer(execute, results.AddError(0, TRITONSERVER_ERROR_INVALID_ARG, "not these numbers"));
  REQUIRE(requests.Answered());
  CHECK(requests.outcomes[0]->message == "not these numbers");
  CHECK(requests.outcomes[1]->outputs.at("Y").data == Pack<int32_t>({3, 4}));
  CHECK(Returned(call));
}

TEST_CASE("memory refused for one response, and elsewhere for another") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker();
  Instance instance(serving.model(), &serving.handle());
  auto refused = Serving::MakeRequest({1, 2});
  refused->refused_output = "Y";
  auto elsewhere = Serving::MakeRequest({3, 4});
  elsewhere->output_memory = TRITONSERVER_MEMORY_GPU;
  Requests requests;
  requests.Add(std::move(refused)).Add(std::move(elsewhere)).Add({5, 6});
  const auto call = Execute(instance, requests);
  const Message execute = worker.Receive(Kind::kExecute);
  worker.Answer(execute, Serving::Echo(worker, execute));
  REQUIRE(requests.Answered());
  CHECK(requests.outcomes[0]->error == TRITONSERVER_ERROR_UNAVAILABLE);
  CHECK(requests.outcomes[1]->error == TRITONSERVER_ERROR_UNSUPPORTED);
  CHECK(requests.outcomes[2]->outputs.at("Y").data == Pack<int32_t>({5, 6}));
  CHECK(Returned(call));
}

TEST_CASE("a batch of nothing but unfit requests reaches no worker") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker();
  Instance instance(serving.model(), &serving.handle());
  auto unfit = Serving::MakeRequest({1, 2});
  unfit->inputs[0].name = "Z";
  Requests requests;
  requests.Add(std::move(unfit));
  instance.Execute(requests.handles);
  CHECK(requests.Answered());
  const Requests next = Requests().Add({1, 2});
  const auto call = Execute(instance, next);
  const Message execute = worker.Receive(Kind::kExecute);
  worker.Answer(execute, Serving::Echo(worker, execute));
  CHECK(next.Answered());
  CHECK(Returned(call));
}

TEST_CASE("a worker that vanishes with a batch fails it, and the next worker takes the next batch") {
  Serving serving;
  FakeWorker worker = serving.AttachWorker();
  Instance instance(serving.model(), &serving.handle());
  const Requests lost = Requests().Add({1, 2}).Add({3, 4});
  const auto call = Execute(instance, lost);
  worker.Receive(Kind::kExecute);
  serving.Part(worker);
  REQUIRE(lost.Answered());
  CHECK(lost.outcomes[0]->error == TRITONSERVER_ERROR_UNAVAILABLE);
  CHECK(Contains(lost.outcomes[1]->message, "the request can be sent again"));
  CHECK(Returned(call));

  const Requests next = Requests().Add({5, 6});
  const auto second = Execute(instance, next);
  const FakeWorker other = FakeWorker::Attached(serving.model().binding().socket_path);
  const Message execute = other.Receive(Kind::kExecute);
  other.Answer(execute, Serving::Echo(other, execute));
  CHECK(next.Answered());
  CHECK(Returned(second));
}

TEST_CASE("a worker that went while nothing happened costs nothing") {
  Serving serving;
  Instance instance(serving.model(), &serving.handle());
  for (int round = 0; round < 5; ++round) {
    FakeWorker worker = serving.AttachWorker();
    const Requests requests = Requests().Add({1, 2});
    const auto call = Execute(instance, requests);
    const Message execute = worker.Receive(Kind::kExecute);
    worker.Answer(execute, Serving::Echo(worker, execute));
    REQUIRE(requests.Answered());
    CHECK_FALSE(requests.outcomes[0]->error);
    REQUIRE(Returned(call));
    serving.Part(worker);
  }
}

TEST_CASE("results that are nonsense end the worker's connection and fail the batch") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker();
  Instance instance(serving.model(), &serving.handle());
  const Requests requests = Requests().Add({1, 2}).Add({3, 4});
  const auto call = Execute(instance, requests);
  const Message execute = worker.Receive(Kind::kExecute);
  worker.Answer(execute,
                ResultWriter().Add(7, kAllRequests, TRITONSERVER_TYPE_INT32, {2}, testing::Bytes(8)));
  CHECK(worker.SeesEnd());
  REQUIRE(requests.Answered());
  CHECK(Contains(requests.outcomes[0]->message, "broke the protocol (result for output 7"));
  CHECK(Returned(call));
}

TEST_CASE("a worker that answers a batch twice, the first time not finally") {
  Serving serving;
  const FakeWorker worker = serving.AttachWorker();
  Instance instance(serving.model(), &serving.handle());
  const Requests requests = Requests().Add({1, 2});
  const auto call = Execute(instance, requests);
  const Message execute = worker.Receive(Kind::kExecute);
  worker.Answer(execute, Serving::Echo(worker, execute), 0);
  worker.Answer(execute, Serving::Echo(worker, execute));
  CHECK(worker.SeesEnd());
  CHECK(requests.Answered());
  CHECK(Returned(call));
}

TEST_CASE("a batch larger than the worker's memory, or than what is left of it") {
  Serving serving(65536);
  const FakeWorker worker = serving.AttachWorker(2);
  Instance instance(serving.model(), &serving.handle());
  auto large = Serving::MakeRequest({});
  large->inputs[0].shape = {1, 20000};
  large->inputs[0].buffers = {testing::Bytes(80000)};
  Requests requests;
  requests.Add(std::move(large));
  instance.Execute(requests.handles);
  REQUIRE(requests.Answered());
  CHECK(requests.outcomes[0]->error == TRITONSERVER_ERROR_INTERNAL);
  CHECK(Contains(requests.outcomes[0]->message, "the limit is 65536 bytes: it cannot be served"));

  // Each of them would fit without the other.
  Requests both;
  for (int request = 0; request < 2; ++request) {
    auto half = Serving::MakeRequest({});
    half->inputs[0].shape = {1, 10000};
    half->inputs[0].buffers = {testing::Bytes(40000)};
    both.Add(std::move(half));
  }
  instance.Execute(both.handles);
  REQUIRE(both.Answered());
  CHECK(both.outcomes[0]->error == TRITONSERVER_ERROR_UNAVAILABLE);
  CHECK(Contains(both.outcomes[0]->message, "its 2 requests together need more than the limit"));

  // A function that keeps its inputs, until there is no more memory: sixteen pages.
  std::vector<uint64_t> kept;
  for (int count = 0; count < 16; ++count) {
    const Requests small = Requests().Add({1, 2});
    const auto call = Execute(instance, small);
    const Message execute = worker.Receive(Kind::kExecute);
    kept.push_back(execute.slot);
    worker.Answer(execute, Serving::Echo(worker, execute), kFlagFinal);
    REQUIRE(small.Answered());
    CHECK_FALSE(small.outcomes[0]->error);
    REQUIRE(Returned(call));
  }
  const Requests refused = Requests().Add({1, 2});
  instance.Execute(refused.handles);
  REQUIRE(refused.Answered());
  CHECK(refused.outcomes[0]->error == TRITONSERVER_ERROR_UNAVAILABLE);
  CHECK(Contains(refused.outcomes[0]->message, "whose arrays the function still keeps"));

  worker.Send(Kind::kRelease, kept[7]);
  worker.Send(Kind::kReserve, kept[8], 1);  // is refused, as it has its result: but then the release was read
  CHECK(worker.SeesEnd());
}

TEST_CASE("two instances share two workers, and one of them when the other is gone") {
  Serving serving;
  FakeWorker one = serving.AttachWorker();
  const FakeWorker two = serving.AttachWorker();
  Instance first(serving.model(), &serving.handle());
  Instance second(serving.model(), &serving.handle());
  const Requests a = Requests().Add({1, 2});
  const Requests b = Requests().Add({3, 4});
  auto call_a = Execute(first, a);
  const Message execute_a = one.Receive(Kind::kExecute);
  auto call_b = Execute(second, b);
  const Message execute_b = two.Receive(Kind::kExecute);
  one.Answer(execute_a, Serving::Echo(one, execute_a));
  two.Answer(execute_b, Serving::Echo(two, execute_b));
  REQUIRE(a.Answered());
  REQUIRE(b.Answered());
  REQUIRE(Returned(call_a));
  REQUIRE(Returned(call_b));

  serving.Part(one);
  for (Instance* instance : {&first, &second, &first}) {
    const Requests requests = Requests().Add({5, 6});
    const auto call = Execute(*instance, requests);
    const Message execute = two.Receive(Kind::kExecute);
    two.Answer(execute, Serving::Echo(two, execute));
    REQUIRE(requests.Answered());
    CHECK_FALSE(requests.outcomes[0]->error);
    CHECK(Returned(call));
  }
}

TEST_CASE("a model that is unloaded while a batch is in flight answers it") {
  auto serving = std::make_unique<Serving>();
  const FakeWorker worker = serving->AttachWorker(2);
  auto instance = std::make_unique<Instance>(serving->model(), &serving->handle());
  const Requests requests = Requests().Add({1, 2});
  instance->Execute(requests.handles);
  worker.Receive(Kind::kExecute);
  instance.reset();
  serving.reset();
  CHECK(requests.Answered());
}

TEST_CASE("many callers, workers that come and go, and every request is answered once") {
  auto serving = std::make_unique<Serving>();
  const std::string path = serving->model().binding().socket_path;
  std::atomic<bool> done{false};
  std::vector<std::thread> workers;
  for (int index = 0; index < 2; ++index) {
    workers.emplace_back([&] {
      for (int count = 0; !done;) {
        try {
          const FakeWorker worker = FakeWorker::Attached(path);
          while (const auto message = worker.Receive()) {
            if (++count % 17 == 0) {
              break;
            }
            worker.Answer(*message, Serving::Echo(worker, *message));
          }
        } catch (const std::runtime_error&) {
          // The session has ended.
        }
      }
    });
  }
  std::atomic<int> wrong{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> callers;
  for (int index = 0; index < 2; ++index) {
    callers.emplace_back([&] {
      Instance instance(serving->model(), &serving->handle());
      for (int count = 0; count < 200; ++count) {
        const Requests requests = Requests().Add({count, 2}).Add({3, 4, 5, 6});
        instance.Execute(requests.handles);
        wrong += !requests.Answered();
        if (requests.outcomes[0]->error) {
          ++failed;
        } else {
          wrong += requests.outcomes[0]->outputs.at("Y").data != Pack<int32_t>({count, 2});
        }
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  CHECK(wrong == 0);
  CHECK(failed < 100);
  done = true;
  serving.reset();
  for (std::thread& worker : workers) {
    worker.join();
  }
}

}  // namespace pytriton
