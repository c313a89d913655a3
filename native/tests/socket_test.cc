// SPDX-License-Identifier: Apache-2.0
#include "core/socket.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/failure.h"
#include "fake_worker.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::FakeWorker;
using testing::TemporaryDirectory;

std::pair<Socket, Socket> Pair() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  return {Socket(UniqueFd(ends[0])), Socket(UniqueFd(ends[1]))};
}

}  // namespace

TEST_CASE("UniqueFd closes once") {
  const size_t before = testing::DescriptorCount();
  {
    UniqueFd a(dup(0));
    UniqueFd b(std::move(a));
    UniqueFd c(dup(0));
    c = std::move(b);
    CHECK(static_cast<bool>(c));
    CHECK_FALSE(static_cast<bool>(UniqueFd()));
  }
  CHECK(testing::DescriptorCount() == before);
}

TEST_CASE("packets stay packets, and their whole size is told") {
  const auto [a, b] = Pair();
  const std::string text = "0123456789";
  REQUIRE(a.Send(std::as_bytes(std::span(text))));
  REQUIRE(a.Send(BytesOf(uint32_t{7})));
  std::array<std::byte, 4> buffer;
  size_t size = 0;
  CHECK(b.Receive(buffer, size) == Socket::Received::kPacket);
  CHECK(size == 10);
  CHECK(b.Receive(buffer, size) == Socket::Received::kPacket);
  CHECK(size == 4);
}

TEST_CASE("the end, and a time out") {
  auto [a, b] = Pair();
  std::array<std::byte, 4> buffer;
  size_t size = 0;
  b.SetReceiveTimeout(1);
  CHECK(b.Receive(buffer, size) == Socket::Received::kTimeout);
  a = Socket();
  CHECK(b.Receive(buffer, size) == Socket::Received::kEnd);
  CHECK_FALSE(b.Send(buffer));  // and no SIGPIPE

  auto [c, d] = Pair();
  d.Shutdown();
  CHECK(d.Receive(buffer, size) == Socket::Received::kEnd);
  CHECK_FALSE(c.Send(buffer));
}

TEST_CASE("who does not read is not waited for") {
  const auto [a, b] = Pair();
  const std::array<std::byte, 48> packet{};
  int sent = 0;
  while (a.Send(packet, MSG_DONTWAIT)) {
    ++sent;
  }
  CHECK(sent > 128);  // what a worker of the largest capacity can have waiting
}

TEST_CASE("a signal does not end a wait") {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, &before);
  const auto [a, b] = Pair();
  const pthread_t self = pthread_self();
  std::thread other([&a = a, self] {
    for (int count = 0; count < 5; ++count) {
      pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    a.Send(BytesOf(uint32_t{1}));
  });
  std::array<std::byte, 4> buffer;
  size_t size = 0;
  CHECK(b.Receive(buffer, size) == Socket::Received::kPacket);
  other.join();
  sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("a descriptor travels with a packet") {
  const auto [a, b] = Pair();
  int pipe_ends[2];
  REQUIRE(pipe2(pipe_ends, O_CLOEXEC) == 0);
  const UniqueFd read_end(pipe_ends[0]);
  const UniqueFd write_end(pipe_ends[1]);
  const size_t before = testing::DescriptorCount();
  REQUIRE(a.SendWithDescriptor(BytesOf(uint32_t{7}), read_end.get()));
  // Who takes the packet and does not ask for the descriptor does not get one.
  std::array<std::byte, 4> buffer;
  size_t size = 0;
  CHECK(b.Receive(buffer, size) == Socket::Received::kPacket);
  CHECK(testing::DescriptorCount() == before);
}

TEST_CASE("a listener replaces what a dead server left, and is private") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s";
  {
    const Socket dead = Socket::Listen(path);
  }
  REQUIRE(std::filesystem::exists(path));
  const Socket listener = Socket::Listen(path);
  struct stat status{};
  stat(path.c_str(), &status);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK((fcntl(listener.get(), F_GETFD) & FD_CLOEXEC) != 0);

  const FakeWorker worker(path);
  const Socket accepted = listener.Accept();
  CHECK(accepted.PeerUser() == geteuid());
  CHECK((fcntl(accepted.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a listener does not take the place of one that lives") {
  const TemporaryDirectory directory;
  const Socket listener = Socket::Listen(directory / "s");
  CHECK_THROWS_AS(Socket::Listen(directory / "s"), Failure);
  CHECK_NOTHROW(FakeWorker(directory / "s"));
}

TEST_CASE("paths that cannot be listened on") {
  const TemporaryDirectory directory;
  const size_t before = testing::DescriptorCount();
  CHECK_THROWS_AS(Socket::Listen(directory / "no/such/place"), Failure);
  CHECK_THROWS_AS(Socket::Listen(directory / std::string(108, 'x')), Failure);
  CHECK_NOTHROW(Socket::Listen(directory / std::string(107 - directory.path().size() - 1, 'x')));
  CHECK(testing::DescriptorCount() == before);
}

TEST_CASE("Shutdown wakes who waits to accept") {
  const TemporaryDirectory directory;
  const Socket listener = Socket::Listen(directory / "s");
  std::thread waiting([&] { CHECK_FALSE(static_cast<bool>(listener.Accept())); });
  listener.Shutdown();
  waiting.join();
}

}  // namespace pytriton
