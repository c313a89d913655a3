// SPDX-License-Identifier: Apache-2.0
#include "preload/delayed_tasks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <semaphore>
#include <vector>

#include "preload/clock.h"
#include "support.h"

namespace pytriton {

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kLongNs = std::chrono::nanoseconds(testing::kLong).count();

// Like those of the server they are for the whole process: their thread never ends.
constinit DelayedTasks tasks;

// Says in which order it was done, and whether too early.
class Record {
 public:
  explicit Record(std::vector<Record*>& records) : records_(records), task_{Run, this} {}
  void Add(int64_t wait_ns) { tasks.Add(task_, wait_ns); }
  int64_t due_ns() const { return task_.due_ns; }
  bool was_due() const { return was_due_; }

 private:
  static int64_t Run(void* record) {
    Record& self = *static_cast<Record*>(record);
    self.was_due_ = Now() >= self.task_.due_ns;
    self.records_.push_back(&self);
    return DelayedTask::kDone;
  }

  std::vector<Record*>& records_;
  DelayedTask task_;
  bool was_due_ = false;
};

}  // namespace

TEST_CASE("delayed tasks are done when they are due, one after the other") {
  std::vector<Record*> records;  // of the one thread, until there are no tasks
  std::vector<std::unique_ptr<Record>> all;
  for (const int64_t wait_ns : {5 * kMs, 0 * kMs, 20 * kMs, 1 * kMs, 0 * kMs, 5 * kMs, 30 * kMs, 0 * kMs}) {
    all.push_back(std::make_unique<Record>(records));
    all.back()->Add(wait_ns);
  }
  tasks.Await(kLongNs);
  REQUIRE(records.size() == all.size());
  CHECK(std::ranges::all_of(records, &Record::was_due));
  CHECK(std::ranges::is_sorted(records, {}, &Record::due_ns));
}

TEST_CASE("a delayed task is done again as long as it says so") {
  struct Counter {
    static int64_t Run(void* counter) {
      return ++static_cast<Counter*>(counter)->runs < 3 ? 1 * kMs : DelayedTask::kDone;
    }
    int runs = 0;
    DelayedTask task{Run, this};
  } counter;
  tasks.Add(counter.task, 0);
  tasks.Await(kLongNs);
  CHECK(counter.runs == 3);
}

TEST_CASE("a delayed task may be added again while it is being done") {
  struct Gate {
    static int64_t Run(void* gate) {
      Gate& self = *static_cast<Gate*>(gate);
      if (++self.runs == 1) {
        self.entered.release();
        self.opened.acquire();
      }
      return DelayedTask::kDone;
    }
    int runs = 0;
    std::binary_semaphore entered{0};
    std::binary_semaphore opened{0};
    DelayedTask task{Run, this};
  } gate;
  tasks.Add(gate.task, 0);
  gate.entered.acquire();
  tasks.Await(1);  // not for ever
  tasks.Add(gate.task, 0);
  gate.opened.release();
  tasks.Await(kLongNs);
  CHECK(gate.runs == 2);
}

TEST_CASE("a delayed task may be deleted as it is done for the last time") {
  struct Owner {
    static int64_t Run(void* owner) {
      const std::unique_ptr<Owner> self(static_cast<Owner*>(owner));
      *self->is_done = true;
      return DelayedTask::kDone;
    }
    bool* is_done;
    DelayedTask task{Run, this};
  };
  bool is_done = false;
  auto* const owner = new Owner{&is_done};
  tasks.Add(owner->task, 0);
  tasks.Await(kLongNs);
  CHECK(is_done);
}

}  // namespace pytriton
