// SPDX-License-Identifier: Apache-2.0
#include "backend/model.h"

#include <doctest/doctest.h>

#include <future>
#include <string>

#include "core/failure.h"
#include "fake_triton.h"
#include "fake_worker.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::FakeWorker;
using testing::TemporaryDirectory;

Binding MakeBinding(const std::string& path, uint32_t workers) {
  Binding binding;
  binding.socket_path = path;
  binding.memory_limit = 1 << 20;
  binding.workers = workers;
  binding.attach_timeout = std::chrono::milliseconds(30);
  return binding;
}

}  // namespace

TEST_CASE("a model whose workers do not come is not loaded, and says how many came") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s";
  try {
    Model model("m", 1, MakeBinding(path, 2));
    model.WaitForWorkers();
    FAIL("it was loaded");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Code::kUnavailable);
    CHECK(std::string(failure.what()) == "0 of 2 workers attached within 30 ms");
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a model is loaded when all its workers are there") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s";
  Binding binding = MakeBinding(path, 2);
  binding.attach_timeout = testing::kLong;
  Model model("m", 3, binding);
  auto loaded = std::async(std::launch::async, [&] { model.WaitForWorkers(); });
  const FakeWorker one = FakeWorker::Attached(path);
  CHECK(loaded.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  const FakeWorker two = FakeWorker::Attached(path);
  loaded.get();
  CHECK(model.version() == 3);
  CHECK(model.Counters() == "m 3 batches=0 requests=0 bytes_in=0 bytes_out=0 failed=0");
  model.CountBatch(4, 100);
  model.CountResult(10, 1000, 70);
  CHECK(model.Counters() == "m 3 batches=1 requests=4 bytes_in=100 bytes_out=70 failed=0");
}

TEST_CASE("waiting for workers ends when somebody gives up, or lets go of them") {
  const TemporaryDirectory directory;
  Binding binding = MakeBinding(directory / "s", 1);
  binding.attach_timeout = testing::kLong;
  Model model("m", 1, binding);
  auto loaded = std::async(std::launch::async, [&] { model.WaitForWorkers(); });
  CHECK(loaded.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  SUBCASE("given up") {
    model.session().GiveUpWaiting();
  }
  SUBCASE("stopped") {
    model.session().Stop();
  }
  CHECK_THROWS_WITH_AS(loaded.get(), "0 of 1 workers attached before loading was given up", Failure);
}

TEST_CASE("a model that was served before does not wait for workers that are slow to come back") {
  const TemporaryDirectory directory;
  Binding binding = MakeBinding(directory / "s", 1);
  binding.resumed = true;
  Model model("m", 1, binding);
  model.WaitForWorkers();
  const FakeWorker late = FakeWorker::Attached(directory / "s");
  model.session().WaitForWorkers(1, testing::kLong);
}

TEST_CASE("room for results follows what batches needed") {
  const TemporaryDirectory directory;
  Model model("m", 1, MakeBinding(directory / "s", 0));
  CHECK(model.ExpectedResultBytes(8) == 0);
  model.CountResult(10, 1000, 0);
  CHECK(model.ExpectedResultBytes(8) >= 800);
  CHECK(model.ExpectedResultBytes(0) >= 100);
  for (int batch = 0; batch < 500; ++batch) {
    model.CountResult(10, 10, 0);
  }
  CHECK(model.ExpectedResultBytes(8) < 200);
  model.CountResult(0, 0, 0);
}

}  // namespace pytriton
