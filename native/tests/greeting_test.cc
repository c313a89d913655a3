// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
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
using testing::TestSession;

// What the session answers to a first packet that is no greeting it takes.
std::string RejectionOf(TestSession& session, std::span<const std::byte> packet) {
  const FakeWorker worker(session.path());
  REQUIRE(worker.Send(packet));
  std::string reason;
  const auto message = worker.Receive(&reason);
  REQUIRE(message);
  CHECK(message->kind == static_cast<uint32_t>(Kind::kReject));
  CHECK(worker.SeesEnd());
  CHECK(session.log.Await("refused a worker: " + reason));
  return reason;
}

std::string RejectionOf(TestSession& session, const Hello& hello) {
  return RejectionOf(session, BytesOf(hello));
}

}  // namespace

TEST_CASE("a worker is welcome, and gets memory as large as the limit") {
  TestSession session(3 << 20);
  const FakeWorker worker = FakeWorker::Attached(session.path());
  CHECK(worker.size() == 3 << 20);
  session->WaitForWorkers(1, kLong);
}

TEST_CASE("greetings that are refused, with the reason, and cost the others nothing") {
  TestSession session;
  const FakeWorker good = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);

  Hello hello = FakeWorker::GoodHello();
  hello.magic = 0;
  CHECK(Contains(RejectionOf(session, hello), "not one of a pytriton worker"));
  hello = FakeWorker::GoodHello();
  hello.version += 1;
  CHECK(Contains(RejectionOf(session, hello), "protocol version 3"));
  hello = FakeWorker::GoodHello();
  hello.layout_hash ^= 1;
  CHECK(Contains(RejectionOf(session, hello), "use the same pytriton on both sides"));
  CHECK(Contains(RejectionOf(session, FakeWorker::GoodHello(0)), "1 to 128 batches"));
  CHECK(Contains(RejectionOf(session, FakeWorker::GoodHello(129)), "1 to 128 batches"));
  const std::vector<std::byte> packet(100'000);
  CHECK(Contains(RejectionOf(session, {packet.data(), 31}), "a packet of 31 bytes"));
  CHECK(Contains(RejectionOf(session, {packet.data(), 33}), "where a greeting of 32 bytes"));
  CHECK(Contains(RejectionOf(session, packet), "where a greeting"));
  CHECK(Contains(RejectionOf(session, BytesOf(MakeMessage(Kind::kResult))), "where a greeting"));

  CHECK_THROWS_AS(session->WaitForWorkers(2, std::chrono::milliseconds(1)), Failure);
  session.Post();
  CHECK_NOTHROW(good.Receive(Kind::kExecute));
}

TEST_CASE("a connection that ends without a greeting is forgotten") {
  TestSession session;
  for (int count = 0; count < 3; ++count) {
    const FakeWorker silent(session.path());
  }
  CHECK(session.log.Await("a connection that sent no greeting"));
  const FakeWorker good = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
}

TEST_CASE("connections that say nothing hold up neither workers nor the end") {
  TestSession session;
  const FakeWorker silent(session.path());
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  session.Destroy();
  CHECK_FALSE(worker.Receive());
  silent.SeesEnd();
}

TEST_CASE("waiting for workers says how many came") {
  TestSession session;
  const FakeWorker worker = FakeWorker::Attached(session.path());
  session->WaitForWorkers(1, kLong);
  try {
    session->WaitForWorkers(3, std::chrono::milliseconds(5));
    FAIL("three workers came");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Code::kUnavailable);
    CHECK(std::string(failure.what()) == "1 of 3 workers attached within 5 ms");
  }
  session->WaitForWorkers(0, std::chrono::milliseconds(0));
}

TEST_CASE("workers come and go, and leave nothing behind") {
  const size_t before = testing::DescriptorCount();
  {
    TestSession session;
    for (int round = 0; round < 20; ++round) {
      const FakeWorker one = FakeWorker::Attached(session.path());
      const FakeWorker two = FakeWorker::Attached(session.path(), 4);
      session->WaitForWorkers(2, kLong);
    }
    CHECK(session.log.Await("a worker went away; 0 left"));
    const FakeWorker last = FakeWorker::Attached(session.path());
    session->WaitForWorkers(1, kLong);
  }
  CHECK(testing::DescriptorCount() == before);
}

TEST_CASE("a session removes its socket, and hands nothing to processes that it starts") {
  const auto inheritable = [] {
    return std::ranges::count_if(testing::OpenDescriptors(), [](int descriptor) {
      const int flags = fcntl(descriptor, F_GETFD);
      return flags >= 0 && (flags & FD_CLOEXEC) == 0;
    });
  };
  const auto before = inheritable();
  TestSession session;
  const std::string path = session.path();
  const FakeWorker worker = FakeWorker::Attached(path);
  session->WaitForWorkers(1, kLong);
  session.Post();
  CHECK(inheritable() == before);
  session.Destroy();
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a second session on the same path is refused, and does the first no harm") {
  TestSession first;
  const FakeWorker worker = FakeWorker::Attached(first.path());
  CHECK_THROWS_AS(
      TestSession(1 << 20, [&](Session::Options& options) { options.socket_path = first.path(); }), Failure);
  const FakeWorker another = FakeWorker::Attached(first.path());
  first->WaitForWorkers(2, kLong);
  first.Post();
  first.Post();
  CHECK_NOTHROW(worker.Receive(Kind::kExecute));
  CHECK_NOTHROW(another.Receive(Kind::kExecute));
}

}  // namespace pytriton
