// SPDX-License-Identifier: Apache-2.0
//
// What is counted of a model, as it stands at the metrics endpoint.
#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/instance.h"
#include "backend/model_metrics.h"
#include "serving.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Eventually;
using testing::FakeWorker;
using testing::Requests;
using testing::Serving;
using testing::TheHost;

constexpr const char* kLabels = "{model=\"m\",version=\"1\"}";

double Value(const std::string& name) {
  return TheHost().At("pytriton_" + name, kLabels).value;
}

std::vector<double> Observed(const std::string& name) {
  return TheHost().At("pytriton_" + name, kLabels).observed;
}

std::future<void> Execute(Instance& instance, const Requests& requests) {
  return std::async(std::launch::async,
                    [&instance, handles = requests.handles] { instance.Execute(handles); });
}

// How many series of models there are.
ptrdiff_t ModelSeries() {
  const std::vector<std::string> names = TheHost().SeriesNames();
  return std::count_if(names.begin(), names.end(),
                       [](const std::string& name) { return name.starts_with("pytriton_"); });
}

}  // namespace

TEST_CASE("a batch is counted while a worker has it, and when it is done") {
  Serving serving;
  CHECK(Value("workers") == 0);
  const FakeWorker worker = serving.AttachWorker();
  CHECK(Value("workers") == 1);
  CHECK(Value("batches_in_flight_limit") == 1);
  CHECK(Value("shared_memory_limit_bytes") == static_cast<double>(worker.size()));
  Instance instance(serving.model(), &serving.handle());
  const Requests requests = Requests().Add({1, 2, 3, 4}).Add({5, 6});
  const auto call = Execute(instance, requests);
  Message execute = worker.Receive(Kind::kExecute);
  CHECK(Value("workers_busy") == 1);
  CHECK(Value("batches_in_flight") == 1);
  CHECK(Value("shared_memory_bytes") >= 4096);
  CHECK(Observed("batch_size").empty());
  worker.Answer(execute, Serving::Echo(worker, execute));
  REQUIRE(requests.Answered());
  call.wait();
  CHECK(Value("workers_busy") == 0);
  CHECK(Value("batches_in_flight") == 0);
  CHECK(Value("shared_memory_bytes") == 0);
  CHECK(Observed("batch_size") == std::vector<double>{3});
  REQUIRE(Observed("function_seconds").size() == 1);
  CHECK(Observed("function_seconds")[0] >= 0);
  CHECK(Observed("dispatch_seconds").size() == 1);
  CHECK(Value("cancellations_total") == 0);
}

TEST_CASE("a lost worker leaves nothing of itself, and the next one is a restart") {
  Serving serving;
  FakeWorker worker = serving.AttachWorker(3);
  CHECK(Value("batches_in_flight_limit") == 3);
  Instance instance(serving.model(), &serving.handle());
  const Requests requests = Requests().Add({1, 2});
  instance.Execute(requests.handles);
  worker.Receive(Kind::kExecute);
  CHECK(Value("workers_busy") == 1);
  serving.Part(worker);
  REQUIRE(requests.Answered());
  for (const char* const name : {"workers", "workers_busy", "batches_in_flight", "batches_in_flight_limit",
                                 "shared_memory_bytes", "shared_memory_limit_bytes"}) {
    CAPTURE(name);
    CHECK(Value(name) == 0);
  }
  CHECK(Observed("batch_size").empty());
  CHECK(Value("worker_restarts_total") == 0);
  const FakeWorker next = serving.AttachWorker();
  CHECK(Value("worker_restarts_total") == 1);
  const FakeWorker another = serving.AttachWorker();
  CHECK(Value("worker_restarts_total") == 1);
  CHECK(Value("workers") == 2);
}

TEST_CASE("batches that find no memory are counted") {
  Serving serving(1 << 14);
  const FakeWorker worker = serving.AttachWorker();
  Instance instance(serving.model(), &serving.handle());
  auto large = Serving::MakeRequest({1, 2});
  large->inputs[0].shape = {1, 8192};
  large->inputs[0].buffers = {testing::Bytes(8192 * sizeof(int32_t))};
  Requests requests;
  requests.Add(std::move(large));
  instance.Execute(requests.handles);
  REQUIRE(requests.Answered());
  CHECK(Value("shared_memory_refusals_total") == 1);
  CHECK(Value("batches_in_flight") == 0);
  CHECK(Value("shared_memory_bytes") == 0);
}

TEST_CASE(
    "cancelled requests are counted once, before they run, while they run, and at the end of a stream") {
  Serving serving(1 << 20, true, true);
  const FakeWorker worker = serving.AttachWorker(4);
  Instance instance(serving.model(), &serving.handle());
  auto early = Serving::MakeRequest({1, 2});
  early->cancelled = true;
  Requests dropped;
  dropped.Add(std::move(early));
  instance.Execute(dropped.handles);
  REQUIRE(dropped.Answered());
  CHECK(Value("cancellations_total") == 1);

  Requests running;
  running.Add({1, 2}).Add({3, 4});
  instance.Execute(running.handles);
  const Message execute = worker.Receive(Kind::kExecute);
  running.handles[0]->cancelled = true;
  worker.Receive(Kind::kCancelled);
  worker.Send(Kind::kResult, execute.slot, 0, kFlagFinal | kFlagReleased);
  REQUIRE(running.outcomes[0]->Released());
  REQUIRE(running.outcomes[1]->Released());
  CHECK(Eventually([] { return Value("cancellations_total") == 2; }));
  CHECK(Value("stream_memory_bytes") == 0);
}

TEST_CASE("models of one name add up while one takes the place of the other, and leave nothing") {
  const ptrdiff_t before = ModelSeries();
  {
    const Serving one;
    const ptrdiff_t alone = ModelSeries();
    CHECK(alone > before);
    const Serving two;
    CHECK(ModelSeries() == alone);
  }
  CHECK(ModelSeries() == before);
}

TEST_CASE("a server without metrics serves all the same") {
  TheHost().has_metrics = false;
  const auto families = ModelMetricFamilies::Make();
  TheHost().has_metrics = true;
  CHECK(families == nullptr);
  TheHost().TakeLog();
  ModelMetrics metrics(families.get(), "m", 1);
  metrics.CountBatch(1, 2, 3, 4);
  metrics.CountWorkers(1, 1, 1);
}

}  // namespace pytriton
