// SPDX-License-Identifier: Apache-2.0
#include "fake_worker.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "core/message.h"
#include "support.h"

namespace pytriton::testing {

FakeWorker::FakeWorker() : socket_(UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0))) {
  socket_.SetReceiveTimeout(static_cast<int>(std::chrono::milliseconds(kLong).count()));
}

FakeWorker::FakeWorker(const std::string& path) : FakeWorker() {
  Connect(path);
}

void FakeWorker::Connect(const std::string& path) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::runtime_error("a worker cannot connect to " + path);
  }
}

FakeWorker FakeWorker::Attached(const std::string& path, uint32_t capacity, uint64_t token) {
  FakeWorker worker(path);
  worker.Send(GoodHello(capacity, token));
  worker.TakeWelcome();
  return worker;
}

FakeWorker FakeWorker::AttachedSoon(const std::string& path) {
  Eventually([&] {
    try {
      FakeWorker probe(path);
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  });
  return Attached(path);
}

FakeWorker::FakeWorker(FakeWorker&& other) noexcept
    : socket_(std::move(other.socket_)),
      segment_(std::move(other.segment_)),
      base_(std::exchange(other.base_, nullptr)),
      size_(other.size_) {}

FakeWorker::~FakeWorker() {
  if (base_ != nullptr) {
    munmap(base_, size_);
  }
}

Hello FakeWorker::GoodHello(uint32_t capacity, uint64_t token) {
  return {kMagic, kProtocolVersion, capacity, LayoutHash(), token};
}

void FakeWorker::TakeWelcome() {
  Message message{};
  iovec part{&message, sizeof(message)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (size != sizeof(message) || message.kind != static_cast<uint32_t>(Kind::kWelcome) || rights == nullptr) {
    throw std::runtime_error("a worker is not welcome");
  }
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(rights), sizeof(descriptor));
  segment_ = UniqueFd(descriptor);
  size_ = message.length;
  void* mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (mapped == MAP_FAILED) {
    throw std::runtime_error("a worker cannot map its memory");
  }
  base_ = static_cast<std::byte*>(mapped);
}

bool FakeWorker::Send(Kind kind, uint64_t slot, uint64_t length, uint32_t flags) const {
  Message message = MakeMessage(kind, slot, 0, length);
  message.flags = flags;
  return Send(message);
}

std::optional<Message> FakeWorker::Receive(std::string* text) const {
  std::array<std::byte, 4096> packet;
  size_t size = 0;
  switch (socket_.Receive(packet, size)) {
    case Socket::Received::kEnd:
      return std::nullopt;
    case Socket::Received::kTimeout:
      throw std::runtime_error("a worker waits for the server in vain");
    case Socket::Received::kPacket:
      break;
  }
  if (size < sizeof(Message) || size > packet.size()) {
    throw std::runtime_error("a packet of " + std::to_string(size) + " bytes came from the server");
  }
  Message message;
  std::memcpy(&message, packet.data(), sizeof(message));
  if (text != nullptr) {
    text->assign(reinterpret_cast<const char*>(packet.data()) + sizeof(message), size - sizeof(message));
  }
  return message;
}

Message FakeWorker::Receive(Kind kind) const {
  const std::optional<Message> message = Receive();
  if (!message || message->kind != static_cast<uint32_t>(kind)) {
    throw std::runtime_error(
        "a worker got " + (message ? "message " + std::to_string(message->kind) : "the end") +
        " where message " + std::to_string(static_cast<uint32_t>(kind)) + " was expected");
  }
  return *message;
}

bool FakeWorker::SeesEnd() const {
  while (Receive()) {
  }
  return true;
}

void FakeWorker::Disconnect() {
  socket_ = Socket();
}

Block FakeWorker::Room(const Message& execute) const {
  BlockHeader header;
  std::memcpy(&header, base_ + execute.offset, sizeof(header));
  return {header.free_offset, header.free_length};
}

bool FakeWorker::Answer(const Message& execute, const ResultWriter& results, uint32_t flags) const {
  Message message = results.Write(base_, Room(execute), execute.slot);
  message.flags = flags;
  return Send(message);
}

}  // namespace pytriton::testing
