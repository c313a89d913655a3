// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/allocator.h"
#include "core/socket.h"
#include "pytriton/shm_layout.h"
#include "result_writer.h"

namespace pytriton::testing {

// The far end of a session's socket: says what a test tells it to say, at its time.
class FakeWorker {
 public:
  // Connects, and says nothing yet.
  explicit FakeWorker(const std::string& path);
  // Has what it takes to connect.
  FakeWorker();
  void Connect(const std::string& path) const;
  // Connects, greets and takes the welcome.
  static FakeWorker Attached(const std::string& path, uint32_t capacity = 1, uint64_t token = 0);
  // The same with a session that is only about to listen.
  static FakeWorker AttachedSoon(const std::string& path);
  ~FakeWorker();
  FakeWorker(FakeWorker&& other) noexcept;
  FakeWorker& operator=(FakeWorker&&) = delete;

  static Hello GoodHello(uint32_t capacity = 1, uint64_t token = 0);

  bool Send(std::span<const std::byte> packet) const { return socket_.Send(packet); }
  bool Send(const Message& message) const { return Send(BytesOf(message)); }
  bool Send(const Hello& hello) const { return Send(BytesOf(hello)); }
  bool Send(Kind kind, uint64_t slot, uint64_t length = 0, uint32_t flags = 0) const;

  // The next message; `text` is what follows it in the packet. Nothing at the end of the connection. Throws
  // when neither comes.
  std::optional<Message> Receive(std::string* text = nullptr) const;
  // The next message, which has to be of this kind.
  Message Receive(Kind kind) const;
  // Whether the server ends the connection, whatever it says before.
  bool SeesEnd() const;

  void Disconnect();

  // Answers the batch of an EXECUTE with results.
  bool Answer(const Message& execute, const ResultWriter& results,
              uint32_t flags = kFlagFinal | kFlagReleased) const;
  // What of the block of an EXECUTE is free for results.
  Block Room(const Message& execute) const;

  std::byte* base() const { return base_; }
  uint64_t size() const { return size_; }
  int descriptor() const { return segment_.get(); }
  const Socket& socket() const { return socket_; }

  // Takes the WELCOME, and maps the memory that comes with it.
  void TakeWelcome();

 private:
  Socket socket_;
  UniqueFd segment_;
  std::byte* base_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace pytriton::testing
