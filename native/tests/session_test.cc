// SPDX-License-Identifier: Apache-2.0
//
// Batches, their memory and the workers that take them, as long as everybody does what he should.
#include "core/session.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <future>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/message.h"
#include "fake_worker.h"
#include "recording_task.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::Eventually;
using testing::FakeWorker;
using testing::kLong;
using testing::Lines;
using testing::ResultWriter;
using testing::TestSession;

constexpr uint32_t kFinalAndReleased = kFlagFinal | kFlagReleased;

ResultWriter OneNumber() {
  return ResultWriter().Add(0, kAllRequests, 8, {1}, std::vector<std::byte>(4));
}

using Events = std::vector<std::string>;

// Whether a slot can have so many bytes; they are not kept.
bool CanReserve(TestSession& session, uint64_t length) {
  const Permit permit = session.Acquire();
  try {
    permit.link()->Abandon(permit.link()->Reserve(length));
    return true;
  } catch (const Failure& failure) {
    CHECK(failure.code() == Code::kUnavailable);
    return false;
  }
}

uint64_t BytesOccupied(int descriptor) {
  struct stat status{};
  fstat(descriptor, &status);
  return static_cast<uint64_t>(status.st_blocks) * 512;
}

}  // namespace

TEST_CASE("a batch goes to the worker and its result comes back") {
  TestSession session(65536);
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  for (int round = 0; round < 3; ++round) {
    const auto events = session.Post(50'000);
    const Message execute = worker.Receive(Kind::kExecute);
    CHECK(execute.length >= 50'000);
    CHECK(execute.offset + execute.length <= worker.size());
    CHECK(worker.Answer(execute, OneNumber()));
    REQUIRE(events->Await("end"));
    CHECK(events->all() == Events{"result", "end"});
  }
}

TEST_CASE("a batch for which there is memory is not refused for want of room for its results") {
  TestSession session(65536);
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);

  const Permit permit = session.Acquire();
  const Link::Reservation small = permit.link()->Reserve(20'000, 20'000);
  CHECK(small.block.length >= 40'000);
  permit.link()->Abandon(small);
  const Link::Reservation large = permit.link()->Reserve(40'000, 40'000);
  CHECK(large.block.length >= 40'000);
  CHECK(large.block.length <= 65'536);
  permit.link()->Abandon(large);
}

TEST_CASE("memory comes back when the result is there and nothing refers to it any more, in either order") {
  TestSession session(65536);
  const FakeWorker worker = FakeWorker::Attached(session.path(), 2);
  session->WaitForWorkers(1, kLong);

  auto events = session.Post(40'000);
  Message execute = worker.Receive(Kind::kExecute);
  worker.Answer(execute, OneNumber(), kFlagFinal);
  REQUIRE(events->Await("end"));
  CHECK_FALSE(CanReserve(session, 40'000));
  worker.Send(Kind::kRelease, execute.slot);
  CHECK(Eventually([&] { return CanReserve(session, 40'000); }));

  events = session.Post(40'000);
  execute = worker.Receive(Kind::kExecute);
  worker.Send(Kind::kRelease, execute.slot);
  worker.Send(Kind::kReserve, execute.slot, 1);  // its answer shows that the release was read
  worker.Receive(Kind::kReserved);
  CHECK_FALSE(CanReserve(session, 40'000));
  CHECK(events->all().empty());
  worker.Answer(execute, OneNumber(), kFlagFinal);
  REQUIRE(events->Await("end"));
  CHECK(CanReserve(session, 65536));
}

TEST_CASE("a worker asks for more memory, and gets it or is refused") {
  TestSession session(1 << 20);
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  const auto events = session.Post(4096);
  const Message execute = worker.Receive(Kind::kExecute);

  worker.Send(Kind::kReserve, execute.slot, 500'000);
  const Message reserved = worker.Receive(Kind::kReserved);
  CHECK(reserved.slot == execute.slot);
  CHECK(reserved.length >= 500'000);
  CHECK(reserved.offset >= execute.offset + execute.length);
  CHECK(reserved.offset + reserved.length <= worker.size());

  for (const uint64_t wanted : {uint64_t{1} << 19, uint64_t{1} << 20, ~uint64_t{0}}) {
    worker.Send(Kind::kReserve, execute.slot, wanted);
    const Message refused = worker.Receive(Kind::kRefused);
    CHECK(refused.slot == execute.slot);
    CHECK(refused.length == 1 << 20);
    // With the inputs, and with what it has been given already.
    CHECK((refused.offset > 1 << 20) == (wanted > 1 << 19));
  }

  // The results lie in the second block.
  Message result = OneNumber().Write(worker.base(), {reserved.offset, reserved.length}, execute.slot);
  result.flags = kFinalAndReleased;
  worker.Send(result);
  REQUIRE(events->Await("end"));
  CHECK(events->all() == Events{"result", "end"});
  CHECK(CanReserve(session, 1 << 20));
}

TEST_CASE("a batch that finds no memory says who has it, and the next one finds some") {
  TestSession session(65536);
  const FakeWorker worker = FakeWorker::Attached(session.path(), 3);
  session->WaitForWorkers(1, kLong);
  const auto first = session.Post(40'000);
  const Message execute = worker.Receive(Kind::kExecute);
  try {
    session.Post(40'000);
    FAIL("there was memory");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Code::kUnavailable);
    CHECK(Contains(failure.what(), "40960 of 65536 bytes are in use by 1 batches"));
  }
  try {
    session.Post(70'000);
    FAIL("there was memory");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Code::kInternal);
    CHECK(Contains(failure.what(), "needs 81920 bytes of shared memory, and the limit is 65536 bytes"));
    CHECK(Contains(failure.what(), "raise ModelConfig(worker_shared_memory_bytes=...)"));
  }
  worker.Answer(execute, OneNumber());
  REQUIRE(first->Await("end"));
  session.Post(40'000);
  CHECK_NOTHROW(worker.Receive(Kind::kExecute));
}

TEST_CASE("a worker of some capacity has that many batches, and answers them in any order") {
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path(), 3);
  session->WaitForWorkers(1, kLong);
  std::vector<std::shared_ptr<Lines>> events;
  std::vector<Message> executes;
  for (int count = 0; count < 3; ++count) {
    events.push_back(session.Post());
    executes.push_back(worker.Receive(Kind::kExecute));
  }
  auto fourth = std::async(std::launch::async, [&] { return session.Post(); });
  CHECK(fourth.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  for (const size_t index : {size_t{1}, size_t{2}, size_t{0}}) {
    worker.Answer(executes[index], OneNumber());
    REQUIRE(events[index]->Await("end"));
  }
  REQUIRE(fourth.wait_for(kLong) == std::future_status::ready);
  worker.Answer(worker.Receive(Kind::kExecute), OneNumber());
  CHECK(fourth.get()->Await("end"));
}

TEST_CASE("batches go to the worker that has the fewest") {
  TestSession session;
  const FakeWorker one = FakeWorker::Attached(session.path(), 2);
  const FakeWorker two = FakeWorker::Attached(session.path(), 2);
  session->WaitForWorkers(2, kLong);
  session.Post();
  session.Post();
  CHECK_NOTHROW(one.Receive(Kind::kExecute));
  const Message second = two.Receive(Kind::kExecute);
  two.Answer(second, OneNumber());
  const auto third = session.Post();
  const auto fourth = session.Post();
  CHECK_NOTHROW(two.Receive(Kind::kExecute));
}

TEST_CASE("slots have numbers of their own, and batches memory of their own") {
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path(), 8);
  session->WaitForWorkers(1, kLong);
  std::set<uint64_t> slots;
  uint64_t end = 0;
  for (int count = 0; count < 8; ++count) {
    session.Post(5000);
    const Message execute = worker.Receive(Kind::kExecute);
    CHECK(slots.insert(execute.slot).second);
    CHECK(execute.offset >= end);
    end = execute.offset + execute.length;
  }
}

TEST_CASE("without a worker a batch waits for the grace period, and takes the one that comes") {
  TestSession session(65536, [](Session::Options& options) { options.grace = kLong; });
  auto waiting = std::async(std::launch::async, [&] { return session.Post(); });
  const FakeWorker worker = FakeWorker::Attached(session.path());
  const Message execute = worker.Receive(Kind::kExecute);
  worker.Answer(execute, OneNumber());
  CHECK(waiting.get()->Await("end"));

  TestSession hurried(65536, [](Session::Options& options) { options.grace = std::chrono::milliseconds(5); });
  try {
    hurried.Acquire();
    FAIL("there was a worker");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Code::kUnavailable);
    CHECK(Contains(failure.what(), "the model has no worker"));
  }
}

TEST_CASE("a claim is given when a worker is free that nobody else counts on") {
  TestSession session;
  CHECK_NOTHROW(session->AwaitFree());  // no worker, nothing to wait for
  const FakeWorker worker = FakeWorker::Attached(session.path(), 2);
  session->WaitForWorkers(1, kLong);
  const auto events = session.Post();
  const Message execute = worker.Receive(Kind::kExecute);
  std::optional<Claim> claim(session->AwaitFree());
  auto second = std::async(std::launch::async, [&] { return session->AwaitFree(); });
  CHECK(second.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  SUBCASE("because a batch is done") {
    worker.Answer(execute, OneNumber());
  }
  SUBCASE("because the other does not want it any more") {
    claim.reset();
  }
  SUBCASE("because another worker came") {
    const FakeWorker other = FakeWorker::Attached(session.path());
    CHECK(second.wait_for(kLong) == std::future_status::ready);
  }
  CHECK(second.wait_for(kLong) == std::future_status::ready);
}

TEST_CASE("a claim keeps nobody with a batch from the worker, and is turned into a permit") {
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  Claim claim = session->AwaitFree();
  const auto events = session.Post();
  worker.Answer(worker.Receive(Kind::kExecute), OneNumber());
  REQUIRE(events->Await("end"));
  const Permit permit = session->Acquire(claim);
  CHECK(static_cast<bool>(permit));
}

TEST_CASE("nobody waits for a claim when nothing is in flight that could free a worker") {
  // Two who expect batches and one worker: when both had to wait for the other, their model could not be
  // unloaded.
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  std::optional<Claim> claim(session->AwaitFree());
  auto second = std::async(std::launch::async, [&] { return session->AwaitFree(); });
  CHECK(second.wait_for(std::chrono::seconds(2)) == std::future_status::ready);
  claim.reset();
}

TEST_CASE("memory that busy batches do not reach goes back to the system while they run") {
  TestSession session(1 << 20,
                      [](Session::Options& options) { options.idle = std::chrono::milliseconds(20); });
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  const auto run = [&](uint64_t length) {
    const auto events = session.Post(length);
    const Message execute = worker.Receive(Kind::kExecute);
    std::memset(worker.base() + execute.offset + 64, 1, execute.length - 64);
    worker.Answer(execute, OneNumber());
    return events->Await("end");
  };
  REQUIRE(run(800'000));
  CHECK(BytesOccupied(worker.descriptor()) >= 800'000);
  CHECK(Eventually([&] { return run(4096) && BytesOccupied(worker.descriptor()) <= 8192; }));
}

TEST_CASE("memory that lies idle goes back to the system, whenever it was used last") {
  TestSession session(1 << 20,
                      [](Session::Options& options) { options.idle = std::chrono::milliseconds(20); });
  const FakeWorker worker = FakeWorker::Attached(session.path(), 2);
  session->WaitForWorkers(1, kLong);
  const auto quiet = [&] { return BytesOccupied(worker.descriptor()) == 0; };
  // Long enough for the link to see that nothing happens, and to stop looking.
  const auto let_it_idle = [] { std::this_thread::sleep_for(std::chrono::milliseconds(150)); };

  auto events = session.Post(300'000);
  Message execute = worker.Receive(Kind::kExecute);
  std::memset(worker.base() + execute.offset + 64, 1, execute.length - 64);
  worker.Answer(execute, OneNumber());
  REQUIRE(events->Await("end"));
  CHECK(Eventually(quiet));

  SUBCASE("by results that took long") {
    events = session.Post(4096);
    execute = worker.Receive(Kind::kExecute);
    let_it_idle();
    worker.Send(Kind::kReserve, execute.slot, 200'000);
    const Message reserved = worker.Receive(Kind::kReserved);
    std::memset(worker.base() + reserved.offset, 1, reserved.length);
    worker.Answer(execute, OneNumber());
    REQUIRE(events->Await("end"));
    CHECK(Eventually(quiet));
  }
  SUBCASE("by a function that kept its input") {
    events = session.Post(100'000);
    execute = worker.Receive(Kind::kExecute);
    std::memset(worker.base() + execute.offset + 64, 1, execute.length - 64);
    worker.Answer(execute, OneNumber(), kFlagFinal);
    REQUIRE(events->Await("end"));
    let_it_idle();
    CHECK(BytesOccupied(worker.descriptor()) >= 100'000);
    CHECK(worker.base()[execute.offset + execute.length - 1] == std::byte{1});
    worker.Send(Kind::kRelease, execute.slot);
    CHECK(Eventually(quiet));
  }
}

TEST_CASE("a worker that leaves answers what it holds, is given nothing more, and then its connection ends") {
  TestSession session;
  const FakeWorker stays = FakeWorker::Attached(session.path());
  const FakeWorker leaves = FakeWorker::Attached(session.path(), 2, 77);
  session->WaitForWorkers(2, kLong);
  const auto leave = [&] {
    FakeWorker messenger(session.path());
    messenger.Send(FakeWorker::GoodHello(0, 77));
    CHECK(messenger.SeesEnd());
  };

  SUBCASE("at once if it holds nothing") {
    leave();
    CHECK(leaves.SeesEnd());
  }
  SUBCASE("in the middle of batches") {
    const auto first = session.Post();
    const Message at_first = stays.Receive(Kind::kExecute);
    const auto second = session.Post();
    const Message at_second = leaves.Receive(Kind::kExecute);
    leave();
    stays.Answer(at_first, OneNumber());
    REQUIRE(first->Await("end"));
    // Though the other one had room for another.
    const auto third = session.Post();
    stays.Answer(stays.Receive(Kind::kExecute), OneNumber());
    REQUIRE(third->Await("end"));

    leaves.Send(Kind::kReserve, at_second.slot, 1000);
    leaves.Receive(Kind::kReserved);
    leaves.Answer(at_second, OneNumber());
    REQUIRE(second->Await("end"));
    CHECK(second->all() == Events{"result", "end"});
    CHECK(leaves.SeesEnd());
  }
  const auto last = session.Post();
  stays.Answer(stays.Receive(Kind::kExecute), OneNumber());
  CHECK(last->Await("end"));
  CHECK(session.log.all().empty());
}

TEST_CASE("nobody leaves for a token that no worker has") {
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  for (const uint64_t token : {uint64_t{5}, ~uint64_t{0}}) {
    FakeWorker messenger(session.path());
    messenger.Send(FakeWorker::GoodHello(0, token));
    CHECK(messenger.SeesEnd());
  }
  const auto batch = session.Post();
  CHECK(worker.Answer(worker.Receive(Kind::kExecute), OneNumber()));
  CHECK(batch->Await("end"));
}

}  // namespace pytriton
