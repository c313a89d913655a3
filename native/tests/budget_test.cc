// SPDX-License-Identifier: Apache-2.0
#include "core/budget.h"

#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <vector>

#include "core/worker_memory.h"

namespace pytriton {

namespace {

constexpr uint64_t kPage = 4096;

}  // namespace

TEST_CASE("what is charged counts against every budget above, or against none") {
  const auto all = std::make_shared<Budget>(Limit::kAll, 100);
  Budget one(Limit::kModel, 80, all);
  Budget other(Limit::kModel, 80, all);
  CHECK(one.Charge(60) == nullptr);
  CHECK(one.Charge(21) == &one);
  CHECK(other.Charge(41) == all.get());
  CHECK(other.used() == 0);
  CHECK(all->used() == 60);
  CHECK(other.Charge(40) == nullptr);
  one.Refund(60);
  CHECK(all->used() == 40);
  CHECK(one.Charge(UINT64_MAX) == &one);
  CHECK(one.Charge(0) == nullptr);
}

TEST_CASE("threads never charge more than there is") {
  Budget budget(Limit::kModel, 1000);
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        if (budget.Charge(300) == nullptr) {
          CHECK(budget.used() <= 1000);
          budget.Refund(300);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(budget.used() == 0);
}

TEST_CASE("workers share what their model has, and its limit is named") {
  const auto all = std::make_shared<Budget>(Limit::kAll, 12 * kPage);
  const auto model = std::make_shared<Budget>(Limit::kModel, 8 * kPage, all);
  WorkerMemory one(64 * kPage, model);
  WorkerMemory two(64 * kPage, model);
  WorkerMemory::Refusal refusal;
  const auto first = one.Take(4 * kPage, refusal);
  REQUIRE(first);
  REQUIRE(two.Take(4 * kPage, refusal));
  CHECK_FALSE(two.Take(kPage, refusal));
  CHECK(refusal.which == Limit::kModel);
  CHECK(refusal.used == 8 * kPage);
  CHECK(refusal.limit == 8 * kPage);
  // Of the limits in the way the one that is reached first is named: the model's, where it is the lower one.
  CHECK_FALSE(two.Take(65 * kPage, refusal));
  CHECK(refusal.which == Limit::kModel);
  WorkerMemory narrow(2 * kPage, model);
  CHECK_FALSE(narrow.Take(3 * kPage, refusal));
  CHECK(refusal.which == Limit::kWorker);
  CHECK(refusal.limit == 2 * kPage);

  const auto neighbour = std::make_shared<Budget>(Limit::kModel, 64 * kPage, all);
  WorkerMemory three(64 * kPage, neighbour);
  CHECK_FALSE(three.Take(5 * kPage, refusal));
  CHECK(refusal.which == Limit::kAll);
  // What others do not use any more is taken from them.
  one.Free(*first);
  CHECK(all->used() == 8 * kPage);
  CHECK(three.Take(5 * kPage, refusal));
  CHECK(all->used() == 9 * kPage);
}

TEST_CASE("what never fits is told by the least limit, what does not fit now by the one in the way") {
  const auto all = std::make_shared<Budget>(Limit::kAll, 8 * kPage);
  const auto model = std::make_shared<Budget>(Limit::kModel, 16 * kPage, all);
  CHECK(&model->Lowest() == all.get());
  CHECK(&all->Lowest() == all.get());
  WorkerMemory memory(16 * kPage, model);
  WorkerMemory::Refusal refusal;
  CHECK_FALSE(memory.Take(17 * kPage, refusal));
  CHECK(refusal.which == Limit::kAll);
  CHECK(refusal.limit == 8 * kPage);
  CHECK(refusal.need >= 17 * kPage);
  REQUIRE(memory.Take(4 * kPage, refusal));
  CHECK_FALSE(memory.Take(5 * kPage, refusal));
  CHECK(refusal.need == 5 * kPage);
  CHECK_FALSE(memory.Take(5 * kPage, refusal, 4 * kPage));
  CHECK(refusal.need >= 9 * kPage);
  CHECK_FALSE(memory.Take(UINT64_MAX, refusal, 4 * kPage));
  CHECK(refusal.need == UINT64_MAX);
  WorkerMemory narrow(2 * kPage, model);
  CHECK_FALSE(narrow.Take(3 * kPage, refusal));
  CHECK(refusal.which == Limit::kWorker);
  CHECK(refusal.limit == 2 * kPage);
}

TEST_CASE("memory counts until it is given back, and with its worker it is gone") {
  const auto budget = std::make_shared<Budget>(Limit::kAll, 64 * kPage);
  {
    WorkerMemory memory(64 * kPage, budget);
    WorkerMemory::Refusal refusal;
    const auto low = memory.Take(kPage, refusal);
    const auto high = memory.Take(8 * kPage, refusal);
    REQUIRE(low);
    REQUIRE(high);
    memory.Free(*high);
    CHECK(memory.in_use() == kPage);
    CHECK(budget->used() == 9 * kPage);
    memory.GiveBackIdle();
    memory.GiveBackIdle();
    CHECK(budget->used() == kPage);
    const auto again = memory.Take(8 * kPage, refusal);
    REQUIRE(again);
    CHECK(budget->used() == 9 * kPage);
    memory.GiveBack();  // nothing of it is free
    CHECK(budget->used() == 9 * kPage);
  }
  CHECK(budget->used() == 0);
}

}  // namespace pytriton
