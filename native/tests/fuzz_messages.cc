// SPDX-License-Identifier: Apache-2.0
//
// Everything that a worker sends: the greeting, and packets about slots that exist and slots that do not. The
// input is how many batches are posted, and the packets; all of them lie in the socket before the link reads
// the first, so one thread is enough and the same input does the same every time.
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/failure.h"
#include "core/link.h"
#include "core/message.h"
#include "core/results.h"
#include "core/socket.h"
#include "fuzz.h"

namespace pytriton::testing {

namespace {

constexpr uint64_t kMemory = 1 << 16;
constexpr uint32_t kMaxPackets = 60;  // fit in the socket's buffer

struct Tally {
  int posted = 0;
  int results = 0;
  int failures = 0;
  int ended = 0;
};

class CountedTask final : public Task {
 public:
  explicit CountedTask(Tally& tally) : tally_(tally) {}
  ~CountedTask() override { ++tally_.ended; }

  void OnResult(const SlotView& slot, const Message& message) override {
    const std::vector<uint64_t> rows{1, 2};
    const ResultTable results(slot, message, {rows, 3, 2, true});
    tally_.results += (message.flags & kFlagFinal) != 0;
  }
  void OnFailure(const Failure&) override { ++tally_.failures; }

 private:
  Tally& tally_;
};

// Posts batches as soon as the worker is there.
class Poster final : public LinkOwner {
 public:
  Poster(uint32_t batches, Tally& tally) : batches_(batches), tally_(tally) {}

  void Attached(Link& link) override {
    for (uint32_t batch = 0; batch < batches_; ++batch) {
      const Link::Reservation reservation = link.Reserve(4096);
      std::unique_ptr<Task> task = std::make_unique<CountedTask>(tally_);
      ++link.in_flight;
      Permit permit(self, this);
      link.Post(reservation, task, permit);
      ++tally_.posted;
    }
  }
  void Detached(Link&, const std::string&) override {}
  void Rejected(const std::string&) override {}
  void Leaving(uint64_t) override {}
  void Released(Link& link) override { --link.in_flight; }

  std::shared_ptr<Link> self;

 private:
  uint32_t batches_;
  Tally& tally_;
};

}  // namespace

std::vector<FuzzInput> FuzzSeeds() {
  const Hello hello{kMagic, kProtocolVersion, 4, LayoutHash(), 0};
  const auto with = [&](uint8_t batches, const std::vector<Message>& messages) {
    FuzzInput input;
    Put(input, batches);
    Put(input, uint8_t{sizeof(hello)});
    Put(input, hello);
    for (const Message& message : messages) {
      Put(input, uint8_t{sizeof(message)});
      Put(input, message);
    }
    return input;
  };
  // The blocks of the batches are zeros: an empty table of results.
  const auto result = [](uint64_t slot, uint32_t flags) {
    Message message = MakeMessage(Kind::kResult, slot, (slot - 1) * 4096 + 64, 8);
    message.flags = flags;
    return message;
  };
  const Message release = MakeMessage(Kind::kRelease, 1);
  const Message reserve = MakeMessage(Kind::kReserve, 2, 0, 5000);
  return {with(1, {result(1, 3)}),
          with(2, {result(1, 1), release, reserve, result(2, 3)}),
          with(3, {release, result(3, 3), reserve, reserve, result(1, 1), result(2, 1)}),
          with(0, {release}),
          with(1, {result(1, 0), result(1, 2)}),
          with(2, {MakeMessage(Kind::kReserve, 1, 0, 1 << 20), release, release})};
}

}  // namespace pytriton::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pytriton;
  using namespace pytriton::testing;
  FuzzReader reader({data, size});
  const uint32_t batches = reader.Read<uint8_t>() % 4;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    std::abort();
  }
  const Socket worker{UniqueFd(ends[0])};
  for (uint32_t count = 0; count < kMaxPackets && !reader.empty(); ++count) {
    worker.Send(std::as_bytes(reader.Take(reader.Read<uint8_t>())), MSG_DONTWAIT);
  }
  shutdown(worker.get(), SHUT_WR);

  Tally tally;
  {
    Poster poster(batches, tally);
    const auto link =
        std::make_shared<Link>(Socket(UniqueFd(ends[1])), kMemory, std::chrono::seconds(5), poster);
    poster.self = link;
    link->Serve();
    if (link->in_flight != 0) {
      std::abort();
    }
  }
  if (tally.ended != tally.posted || tally.results + tally.failures != tally.posted) {
    std::abort();
  }
  return 0;
}
