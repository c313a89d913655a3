// SPDX-License-Identifier: Apache-2.0
#include "core/message.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/failure.h"
#include "core/socket.h"
#include "fake_worker.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::FakeWorker;

template <typename Call>
std::string ProtocolErrorOf(Call&& call) {
  try {
    call();
  } catch (const ProtocolError& error) {
    return error.what();
  }
  return "no error";
}

std::string GreetingError(const Hello& hello) {
  return ProtocolErrorOf([&] { DecodeHello(BytesOf(hello)); });
}

}  // namespace

TEST_CASE("a greeting is taken as it is") {
  const Hello hello = DecodeHello(BytesOf(FakeWorker::GoodHello(7)));
  CHECK(hello.capacity == 7);
  CHECK(DecodeHello(BytesOf(FakeWorker::GoodHello(1))).capacity == 1);
  CHECK(DecodeHello(BytesOf(FakeWorker::GoodHello(128))).capacity == 128);
}

TEST_CASE("a greeting of somebody else is refused, with the reason") {
  Hello hello = FakeWorker::GoodHello();
  hello.magic ^= 1;
  CHECK(Contains(GreetingError(hello), "not one of a pytriton worker"));

  hello = FakeWorker::GoodHello();
  hello.version += 1;
  CHECK(Contains(GreetingError(hello), "protocol version 3"));
  CHECK(Contains(GreetingError(hello), "use the same pytriton on both sides"));

  hello = FakeWorker::GoodHello();
  hello.layout_hash += 1;
  CHECK(Contains(GreetingError(hello), std::to_string(LayoutHash() + 1)));

  CHECK(Contains(GreetingError(FakeWorker::GoodHello(0)), "1 to 128 batches"));
  CHECK(Contains(GreetingError(FakeWorker::GoodHello(129)), "not 129"));
  CHECK(Contains(GreetingError(FakeWorker::GoodHello(0xffffffff)), "not 4294967295"));
}

TEST_CASE("packets of another size are refused") {
  const std::vector<std::byte> packet(200);
  for (const size_t size : {size_t{0}, size_t{1}, sizeof(Hello) - 1, sizeof(Hello) + 1, packet.size()}) {
    CHECK_THROWS_AS(DecodeHello({packet.data(), size}), ProtocolError);
  }
  for (const size_t size : {size_t{0}, size_t{1}, sizeof(Message) - 1, sizeof(Message) + 1, packet.size()}) {
    CHECK_THROWS_AS(DecodeMessage({packet.data(), size}), ProtocolError);
  }
}

TEST_CASE("a worker may say four things and no others") {
  for (uint32_t kind = 0; kind < 300; ++kind) {
    Message message = MakeMessage(static_cast<Kind>(kind), 3, 5, 7);
    message.flags = 0xffffffff;
    if (kind >= 16 && kind <= 19) {
      const Message decoded = DecodeMessage(BytesOf(message));
      CHECK(decoded.kind == kind);
      CHECK(decoded.slot == 3);
      CHECK(decoded.offset == 5);
      CHECK(decoded.length == 7);
      CHECK(decoded.flags == 0xffffffff);
    } else {
      CHECK(Contains(ProtocolErrorOf([&] { DecodeMessage(BytesOf(message)); }),
                     "kind " + std::to_string(kind) + " is none"));
    }
  }
  CHECK_THROWS_AS(DecodeMessage(BytesOf(MakeMessage(static_cast<Kind>(0xffffffff)))), ProtocolError);
}

TEST_CASE("the hash of the layout is that of the documents") {
  // FNV-1a of nothing is its offset basis; one that never changes shows that a field was forgotten.
  CHECK(LayoutHash() != 0xcbf29ce484222325);
  CHECK(std::size(kLayout) == 52);
}

}  // namespace pytriton
