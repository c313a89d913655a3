// SPDX-License-Identifier: Apache-2.0
#include "backend/model_registry.h"

#include <doctest/doctest.h>

#include <future>
#include <memory>

#include "core/failure.h"
#include "support.h"

namespace pytriton {

TEST_CASE("waiting for a model ends when its last version is gone") {
  ModelRegistry registry;
  const int keys[3] = {};
  registry.Add(&keys[0], "m");
  registry.Add(&keys[1], "m");
  registry.Add(&keys[2], "other");
  registry.WaitUntilGone("unknown");
  auto gone = std::async(std::launch::async, [&] { registry.WaitUntilGone("m"); });
  registry.Remove(&keys[1]);
  CHECK(gone.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  CHECK(registry.Take(&keys[0]) == nullptr);
  registry.Remove(&keys[0]);
  CHECK(gone.wait_for(testing::kLong) == std::future_status::ready);
}

TEST_CASE("waiting for a model ends when the registry closes") {
  ModelRegistry registry;
  const int key = 0;
  registry.Add(&key, "m");
  auto gone = std::async(std::launch::async, [&] { registry.WaitUntilGone("m"); });
  registry.Close();
  CHECK(gone.wait_for(testing::kLong) == std::future_status::ready);
  registry.WaitUntilGone("m");
}

TEST_CASE("giving up a load ends it, wherever it has got to, and waits for its end") {
  const testing::TemporaryDirectory directory;
  Binding binding;
  binding.socket_path = directory / "s";
  binding.memory_limit = 1 << 20;
  binding.workers = 1;
  binding.attach_timeout = testing::kLong;
  ModelRegistry registry;
  registry.GiveUpLoading("m");  // nothing is loaded
  registry.BeginLoading("m");
  std::future<void> given_up;
  const auto give_up = [&] {
    given_up = std::async(std::launch::async, [&] { registry.GiveUpLoading("m"); });
    CHECK(given_up.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  };
  bool early = false;
  SUBCASE("before there is a model") {
    early = true;
    give_up();
  }
  SUBCASE("while it waits") {}
  const auto model = std::make_shared<Model>("m", 1, binding);
  registry.Add(&model, "m");
  registry.Set(&model, model);
  auto waiting = std::async(std::launch::async, [&] { model->WaitForWorkers(); });
  if (!early) {
    give_up();
  }
  CHECK_THROWS_AS(waiting.get(), Failure);
  registry.EndLoading("m");
  CHECK(given_up.wait_for(testing::kLong) == std::future_status::ready);
  registry.Remove(&model);
}

TEST_CASE("models that are not complete have no counters") {
  ModelRegistry registry;
  const int key = 0;
  CHECK(registry.Counters().empty());
  registry.Add(&key, "m");
  CHECK(registry.Counters().empty());
  registry.Remove(&key);
  registry.Remove(&key);
  CHECK(registry.Counters().empty());
}

}  // namespace pytriton
