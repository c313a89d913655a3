// SPDX-License-Identifier: Apache-2.0
//
// Workers that vanish, sessions that end, descriptors and threads that run out, and all of it at once.
#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/message.h"
#include "core/segment.h"
#include "core/session.h"
#include "fake_worker.h"
#include "recording_task.h"
#include "shortage.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::FakeWorker;
using testing::kLong;
using testing::Lines;
using testing::ResultWriter;
using testing::TestSession;

using Events = std::vector<std::string>;

ResultWriter OneNumber() {
  return ResultWriter().Add(0, kAllRequests, 8, {1}, std::vector<std::byte>(4));
}

// Answers batches in every way there is, and leaves in the middle of one.
void WorkForAWhile(const FakeWorker& worker, bool reserves, uint32_t& count) {
  while (const auto message = worker.Receive()) {
    if (++count % 13 == 0) {
      return;
    }
    if (reserves && count % 3 == 0) {
      worker.Send(Kind::kReserve, message->slot, 5000);
      worker.Receive(Kind::kReserved);
    }
    if (count % 2 == 0) {
      worker.Answer(*message, OneNumber());
    } else {
      worker.Answer(*message, OneNumber(), kFlagFinal);
      worker.Send(Kind::kRelease, message->slot);
    }
  }
}

}  // namespace

TEST_CASE("a worker that vanishes fails what it held, once, and the next one serves") {
  TestSession session;
  FakeWorker worker = FakeWorker::Attached(session.path(), 2);
  session->WaitForWorkers(1, kLong);
  std::shared_ptr<Lines> events;
  Events expected{"failure: the worker that held this request went away; the request can be sent again",
                  "end"};

  SUBCASE("before it read its batch") {
    events = session.Post();
    worker.Disconnect();
  }
  SUBCASE("after it read its batch") {
    events = session.Post();
    worker.Receive(Kind::kExecute);
    worker.Disconnect();
  }
  SUBCASE("while it waits for memory") {
    events = session.Post();
    worker.Send(Kind::kReserve, worker.Receive(Kind::kExecute).slot, 10);
    worker.Disconnect();
  }
  SUBCASE("with memory it got") {
    events = session.Post();
    worker.Send(Kind::kReserve, worker.Receive(Kind::kExecute).slot, 10);
    worker.Receive(Kind::kReserved);
    worker.Disconnect();
  }
  SUBCASE("after it released what it did not answer") {
    events = session.Post();
    worker.Send(Kind::kRelease, worker.Receive(Kind::kExecute).slot);
    worker.Disconnect();
  }
  SUBCASE("right after its result") {
    events = session.Post();
    worker.Answer(worker.Receive(Kind::kExecute), OneNumber(), kFlagFinal);
    worker.Disconnect();
    expected = {"result", "end"};
  }
  REQUIRE(events->Await("end"));
  CHECK(events->all() == expected);
  CHECK(session.log.Await("a worker went away; 0 left"));

  const FakeWorker next = FakeWorker::Attached(session.path());
  const auto served = session.Post();
  next.Answer(next.Receive(Kind::kExecute), OneNumber());
  CHECK(served->Await("result"));
}

TEST_CASE("a worker that vanishes takes nothing from another") {
  TestSession session;
  FakeWorker one = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  const auto lost = session.Post();
  const FakeWorker two = FakeWorker::Attached(session.path());
  session->WaitForWorkers(2, kLong);
  const auto kept = session.Post();
  one.Disconnect();
  CHECK(lost->Await("failure"));
  two.Answer(two.Receive(Kind::kExecute), OneNumber());
  CHECK(kept->Await("end"));
  CHECK(kept->all() == Events{"result", "end"});
}

TEST_CASE("a permit outlives its worker, and says so") {
  TestSession session;
  FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  Permit permit = session.Acquire();
  const Link::Reservation reservation = permit.link()->Reserve(100);
  worker.Disconnect();
  REQUIRE(session.log.Await("0 left"));
  CHECK(permit.link()->closed());
  CHECK_THROWS_AS(permit.link()->Reserve(100), Failure);
  const auto lines = std::make_shared<Lines>();
  std::unique_ptr<Task> task = std::make_unique<testing::RecordingTask>(lines);
  const std::shared_ptr<Link> link = permit.link();
  CHECK_THROWS_AS(link->Post(reservation, task, permit), Failure);
  CHECK(task != nullptr);
  CHECK(static_cast<bool>(permit));
  link->Abandon(reservation);
}

TEST_CASE("a session that ends fails what is in flight, once") {
  auto session = std::make_unique<TestSession>();
  const FakeWorker one = FakeWorker::Attached(session->path());
  const FakeWorker two = FakeWorker::Attached(session->path(), 2);
  (*session)->WaitForWorkers(2, kLong);
  std::vector<std::shared_ptr<Lines>> all;
  for (int count = 0; count < 3; ++count) {
    all.push_back(session->Post());
  }
  session->Destroy();
  for (const auto& events : all) {
    REQUIRE(events->all().size() == 2);
    CHECK(Contains(events->all()[0], "failure: "));
    CHECK(events->all()[1] == "end");
  }
  CHECK(one.SeesEnd());
  CHECK(two.SeesEnd());
}

TEST_CASE("a session that is stopped lets go of everybody") {
  TestSession session(1 << 20, [](Session::Options& options) { options.grace = kLong; });
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  const auto in_flight = session.Post();
  auto waiting = std::async(std::launch::async, [&] { return session.Post(); });
  auto expecting = std::async(std::launch::async, [&] { return session->AwaitFree(); });
  CHECK(waiting.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  session->Stop();
  CHECK(worker.SeesEnd());
  CHECK(in_flight->Await("failure: "));
  CHECK_THROWS_AS(waiting.get(), Failure);
  expecting.get();
  CHECK_THROWS_AS(session.Post(), Failure);
  session->Stop();
}

TEST_CASE("a server that is out of descriptors takes the worker once it has some") {
  // The undefined-behaviour sanitizer needs descriptors when it meets a class for the first time: let it meet
  // this one.
  CHECK_THROWS_AS(Segment(0), Failure);
  TestSession session;
  const FakeWorker first;
  FakeWorker worker;
  {
    const testing::NoDescriptors shortage;
    // A call of accept that waits has its descriptor already: it is this worker who uses it up, if there is
    // one.
    first.Connect(session.path());
    worker.Connect(session.path());
    worker.Send(FakeWorker::GoodHello());
    CHECK_FALSE(session.log.AwaitFor("never said", std::chrono::milliseconds(120)));
  }
  worker.TakeWelcome();
  session->WaitForWorkers(1, kLong);
}

TEST_CASE("a server that cannot start a thread refuses the worker, and can still end") {
  TestSession session;
  {
    const FakeWorker warm = FakeWorker::Attached(session.path());  // the acceptor is past its own start
    session->WaitForWorkers(1, kLong);
  }
  {
    const testing::NoThreads shortage;
    const FakeWorker refused(session.path());
    CHECK_FALSE(refused.Receive());
    CHECK(session.log.Await("refused a worker: "));
  }
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
}

TEST_CASE("a worker that gets no memory is refused, which is said once, and nobody waits for it") {
  const std::string why =
      "the server has no room for the " + std::to_string(uint64_t{1} << 62) +
      " bytes of shared memory that a worker may have: Cannot allocate memory; let workers have less with "
      "ModelConfig(worker_shared_memory_bytes=...)";
  TestSession session(uint64_t{1} << 62);
  for (int attempt = 0; attempt < 3; ++attempt) {
    const FakeWorker worker(session.path());
    CHECK_FALSE(worker.Receive());
  }
  CHECK_THROWS_WITH_AS(session->WaitForWorkers(1, kLong), why.c_str(), Failure);
  CHECK(session.log.all() == Events{"refused a worker: " + why});
}

TEST_CASE("many batches, workers that come and go, and no batch is lost or answered twice") {
  constexpr int kPosters = 3;
  constexpr int kBatches = 150;
  TestSession session(1 << 20, [](Session::Options& options) { options.grace = kLong; });
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint32_t seed = 0; seed < 2; ++seed) {
    threads.emplace_back([&, seed] {
      for (uint32_t count = seed; !done;) {
        try {
          WorkForAWhile(FakeWorker::Attached(session.path(), 1 + seed), seed == 0, count);
        } catch (const std::runtime_error&) {
          // The session has ended.
        }
      }
    });
  }
  std::vector<std::thread> posters;
  std::atomic<int> wrong{0};
  for (int poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back([&] {
      for (int count = 0; count < kBatches;) {
        Claim claim = session->AwaitFree();
        try {
          Permit permit = session->Acquire(claim);
          const std::shared_ptr<Link> link = permit.link();
          const Link::Reservation reservation = link->Reserve(4096);
          const BlockHeader header{0, 0, 0, 0, 0, reservation.block.offset + 64, 4000, 0, 0};
          std::memcpy(reservation.base + reservation.block.offset, &header, sizeof(header));
          const auto lines = std::make_shared<Lines>();
          std::unique_ptr<Task> task = std::make_unique<testing::RecordingTask>(lines);
          try {
            link->Post(reservation, task, permit);
          } catch (const Failure&) {
            link->Abandon(reservation);
            throw;
          }
          ++count;
          wrong += !lines->Await("end") || lines->all().size() != 2;
        } catch (const Failure&) {
          // The worker went before it got the batch: another one.
        }
      }
    });
  }
  for (std::thread& poster : posters) {
    poster.join();
  }
  CHECK(wrong == 0);
  done = true;
  session.Destroy();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace pytriton
