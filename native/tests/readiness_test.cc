// SPDX-License-Identifier: Apache-2.0
#include "core/readiness.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <future>

#include "support.h"

namespace pytriton {

namespace {

constexpr std::chrono::milliseconds kAtOnce{0};

class Pair {
 public:
  Pair() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    near_ = Socket(UniqueFd(ends[0]));
    far_ = Socket(UniqueFd(ends[1]));
  }
  const Socket& near() const { return near_; }
  void Say() const { REQUIRE(far_.Send(BytesOf(uint32_t{7}))); }
  void Leave() { far_ = Socket(); }

 private:
  Socket near_;
  Socket far_;
};

}  // namespace

TEST_CASE("a packet is something to read, until it is read") {
  const Pair pair;
  const Readiness readiness(pair.near());
  CHECK_FALSE(readiness.Wait(kAtOnce));
  pair.Say();
  CHECK(readiness.Wait(testing::kLong));
  CHECK(readiness.Wait(kAtOnce));
  std::array<std::byte, 4> buffer;
  size_t size = 0;
  CHECK(pair.near().Receive(buffer, size) == Socket::Received::kPacket);
  CHECK_FALSE(readiness.Wait(kAtOnce));
}

TEST_CASE("a packet does not wake who is muted; what was left unread does afterwards") {
  const Pair pair;
  const Readiness readiness(pair.near());
  auto woken = std::async(std::launch::async, [&] { return readiness.Wait(testing::kLong); });
  readiness.Mute();
  pair.Say();
  CHECK(woken.wait_for(std::chrono::milliseconds(5)) == std::future_status::timeout);
  CHECK_FALSE(readiness.Wait(kAtOnce));
  readiness.Unmute();
  CHECK(woken.get());
}

TEST_CASE("the end wakes who is muted, whichever side it comes from") {
  Pair left;
  const Readiness first(left.near());
  first.Mute();
  left.Leave();
  CHECK(first.Wait(testing::kLong));

  const Pair right;
  const Readiness second(right.near());
  second.Mute();
  right.near().Shutdown();
  CHECK(second.Wait(testing::kLong));
}

TEST_CASE("no socket, no readiness") {
  CHECK_THROWS(Readiness(Socket()));
}

}  // namespace pytriton
