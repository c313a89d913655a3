// SPDX-License-Identifier: Apache-2.0
#include "model_registry.h"

#include <doctest/doctest.h>

#include <future>

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
  registry.Set(&keys[0], nullptr);
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
