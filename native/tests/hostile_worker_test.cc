// SPDX-License-Identifier: Apache-2.0
//
// Workers that break the protocol lose their connection and what they held; nobody else notices.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "core/message.h"
#include "core/session.h"
#include "fake_worker.h"
#include "recording_task.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::FakeWorker;
using testing::kLong;
using testing::ResultWriter;
using testing::TestSession;

using Events = std::vector<std::string>;

ResultWriter OneNumber() {
  return ResultWriter().Add(0, kAllRequests, 8, {1}, std::vector<std::byte>(4));
}

// Lets a worker of capacity 2 misbehave with one batch in its hands, and returns why its connection was
// ended.
std::string Misbehave(const std::function<void(const FakeWorker&, const Message&)>& deed,
                      bool answered_before = false) {
  TestSession session;
  FakeWorker worker = FakeWorker::Attached(session.path(), 2);
  session->WaitForWorkers(1, kLong);
  const auto events = session.Post();
  const Message execute = worker.Receive(Kind::kExecute);
  deed(worker, execute);
  CHECK(worker.SeesEnd());
  CHECK(events->Await("end"));
  REQUIRE(session.log.Await("; 0 left"));
  const Events all = events->all();
  const std::string why = session.log.all().front();
  if (answered_before) {
    CHECK(all == Events{"result", "end"});
  } else {
    REQUIRE(all.size() == 2);
    CHECK(Contains(all[0], "failure: the worker that held this request "));
    CHECK(Contains(all[0], "; the request can be sent again"));
  }
  // The next one is served.
  const FakeWorker next = FakeWorker::Attached(session.path());
  const auto served = session.Post();
  next.Answer(next.Receive(Kind::kExecute), OneNumber());
  CHECK(served->Await("result"));
  return why;
}

}  // namespace

TEST_CASE("messages about slots that are not in use") {
  for (const Kind kind : {Kind::kResult, Kind::kReserve, Kind::kRelease}) {
    for (const uint64_t slot : {uint64_t{0}, uint64_t{2}, uint64_t{1000}, ~uint64_t{0}}) {
      CHECK(Contains(Misbehave([&](const FakeWorker& worker, const Message&) { worker.Send(kind, slot); }),
                     "about slot " + std::to_string(slot) + ", which is not in use"));
    }
  }
}

TEST_CASE("messages about a slot that was freed") {
  for (const Kind kind : {Kind::kResult, Kind::kReserve, Kind::kRelease}) {
    const auto deed = [&](const FakeWorker& worker, const Message& execute) {
      worker.Answer(execute, OneNumber());
      worker.Send(kind, execute.slot);
    };
    CHECK(Contains(Misbehave(deed, true), "which is not in use"));
  }
}

TEST_CASE("a second final result, and memory wanted after it") {
  const auto again = [](const FakeWorker& worker, const Message& execute) {
    worker.Answer(execute, OneNumber(), kFlagFinal);
    worker.Answer(execute, OneNumber(), kFlagFinal);
  };
  CHECK(Contains(Misbehave(again, true), "a result after the final one"));
  const auto more = [](const FakeWorker& worker, const Message& execute) {
    worker.Answer(execute, OneNumber(), kFlagFinal);
    worker.Send(Kind::kReserve, execute.slot, 1);
  };
  CHECK(Contains(Misbehave(more, true), "after its final result"));
}

TEST_CASE("a slot released twice") {
  const auto twice = [](const FakeWorker& worker, const Message& execute) {
    worker.Send(Kind::kRelease, execute.slot);
    worker.Send(Kind::kRelease, execute.slot);
  };
  CHECK(Contains(Misbehave(twice), "released twice"));
}

TEST_CASE("packets that are no messages") {
  const std::vector<std::byte> bytes(100'000, std::byte{0x5a});
  for (const size_t size : {size_t{1}, size_t{47}, size_t{49}, size_t{4096}, bytes.size()}) {
    const auto garbage = [&](const FakeWorker& worker, const Message&) { worker.Send({bytes.data(), size}); };
    CHECK(Contains(Misbehave(garbage), "broke the protocol (a packet of"));
  }
  const auto nonsense = [&](const FakeWorker& worker, const Message&) { worker.Send({bytes.data(), 48}); };
  CHECK(Contains(Misbehave(nonsense), "kind 1515870810 is none"));
  const auto empty = [](const FakeWorker& worker, const Message&) {
    worker.Send(std::span<const std::byte>());
  };
  CHECK(Contains(Misbehave(empty), "went away"));
}

TEST_CASE("what only the server says") {
  for (const Kind kind : {Kind::kWelcome, Kind::kReject, Kind::kExecute, Kind::kReserved, Kind::kRefused}) {
    const auto deed = [&](const FakeWorker& worker, const Message& execute) {
      worker.Send(kind, execute.slot);
    };
    CHECK(Contains(Misbehave(deed), "is none that a worker sends"));
  }
  const auto greeting = [](const FakeWorker& worker, const Message&) {
    worker.Send(FakeWorker::GoodHello());
  };
  CHECK(Contains(Misbehave(greeting), "a packet of"));
}

TEST_CASE("a result outside of its slot, in the memory of another") {
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path(), 2);
  session->WaitForWorkers(1, kLong);
  const auto first = session.Post();
  const auto second = session.Post();
  const Message one = worker.Receive(Kind::kExecute);
  const Message two = worker.Receive(Kind::kExecute);
  Message result = OneNumber().Write(worker.base(), worker.Room(two), one.slot);
  worker.Send(result);
  CHECK(worker.SeesEnd());
  CHECK(first->Await("outside its slot"));
  CHECK(second->Await("outside its slot"));
}

TEST_CASE("descriptors that come with a message are not kept") {
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  const auto events = session.Post();
  const Message execute = worker.Receive(Kind::kExecute);
  const size_t before = testing::DescriptorCount();
  const Message result = OneNumber().Write(worker.base(), worker.Room(execute), execute.slot);
  worker.socket().SendWithDescriptor(BytesOf(result), 0);
  REQUIRE(events->Await("end"));
  CHECK(testing::DescriptorCount() == before);
}

TEST_CASE("a worker that asks and never reads is not waited for") {
  TestSession session(65536);
  FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  const auto events = session.Post();
  const Message execute = worker.Receive(Kind::kExecute);
  while (worker.Send(Kind::kReserve, execute.slot, 1 << 20)) {
  }
  CHECK(events->Await("failure"));
  REQUIRE(session.log.Await("0 left"));
  const FakeWorker next = FakeWorker::Attached(session.path());
  session.Post();
  CHECK_NOTHROW(next.Receive(Kind::kExecute));
}

TEST_CASE("a worker of the largest capacity may leave all its batches unread") {
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path(), 128);
  session->WaitForWorkers(1, kLong);
  std::vector<std::shared_ptr<testing::Lines>> events;
  for (int count = 0; count < 128; ++count) {
    events.push_back(session.Post(100));
  }
  for (int count = 0; count < 128; ++count) {
    worker.Answer(worker.Receive(Kind::kExecute), OneNumber());
  }
  for (const auto& lines : events) {
    CHECK(lines->Await("result"));
  }
}

TEST_CASE("whatever goes wrong with a result ends the connection and not the server") {
  const std::vector<std::function<void()>> errors = {
      [] { throw Failure(Code::kInternal, "failed"); }, [] { throw std::bad_alloc(); },
      [] { throw std::length_error("too long"); }, [] { throw ProtocolError("nonsense"); }};
  for (const auto& error : errors) {
    TestSession session;
    const FakeWorker worker = FakeWorker::Attached(session.path());
    session->WaitForWorkers(1, kLong);
    const auto events = session.Post(4096, [&](const SlotView&, const Message&) { error(); });
    worker.Answer(worker.Receive(Kind::kExecute), OneNumber());
    CHECK(worker.SeesEnd());
    CHECK(events->Await("failure: the worker that held this request"));
    CHECK(events->Await("end"));
  }
}

}  // namespace pytriton
