// SPDX-License-Identifier: Apache-2.0
#include "core/message.h"

#include <cstring>
#include <string>

#include "core/failure.h"

namespace pytriton {

namespace {

// More batches in flight than any function can use, and few enough that their messages fit a socket's buffer.
constexpr uint32_t kMaxCapacity = 128;

template <typename T>
T Copy(std::span<const std::byte> packet, const char* what) {
  if (packet.size() != sizeof(T)) {
    throw ProtocolError("a packet of " + std::to_string(packet.size()) + " bytes where " + what + " of " +
                        std::to_string(sizeof(T)) + " bytes was expected");
  }
  T value;
  std::memcpy(&value, packet.data(), sizeof(T));
  return value;
}

}  // namespace

Hello DecodeHello(std::span<const std::byte> packet) {
  const Hello hello = Copy<Hello>(packet, "a greeting");
  if (hello.magic != kMagic) {
    throw ProtocolError("the greeting is not one of a pytriton worker");
  }
  if (hello.version != kProtocolVersion || hello.layout_hash != LayoutHash()) {
    throw ProtocolError("the worker speaks protocol version " + std::to_string(hello.version) + ", layout " +
                        std::to_string(hello.layout_hash) + "; this server speaks version " +
                        std::to_string(kProtocolVersion) + ", layout " + std::to_string(LayoutHash()) +
                        ": use the same pytriton on both sides");
  }
  const bool leaves = hello.capacity == 0 && hello.token != 0;
  if (!leaves && (hello.capacity == 0 || hello.capacity > kMaxCapacity)) {
    throw ProtocolError("a worker takes 1 to " + std::to_string(kMaxCapacity) + " batches at a time, not " +
                        std::to_string(hello.capacity));
  }
  return hello;
}

Message DecodeMessage(std::span<const std::byte> packet) {
  const Message message = Copy<Message>(packet, "a message");
  switch (static_cast<Kind>(message.kind)) {
    case Kind::kResult:
    case Kind::kReserve:
    case Kind::kRelease:
    case Kind::kSync:
      return message;
    default:
      throw ProtocolError("message kind " + std::to_string(message.kind) + " is none that a worker sends");
  }
}

Message MakeMessage(Kind kind, uint64_t slot, uint64_t offset, uint64_t length) {
  return Message{static_cast<uint32_t>(kind), 0, slot, offset, length, 0, 0};
}

std::vector<std::byte> MakeRejection(std::string_view reason) {
  const Message reject = MakeMessage(Kind::kReject);
  std::vector<std::byte> packet(sizeof(reject) + reason.size());
  std::memcpy(packet.data(), &reject, sizeof(reject));
  std::memcpy(packet.data() + sizeof(reject), reason.data(), reason.size());
  return packet;
}

}  // namespace pytriton
