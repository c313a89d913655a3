// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace pytriton {

// A file descriptor and the duty to close it.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A SOCK_SEQPACKET socket: every send is one packet, every receive takes one.
class Socket {
 public:
  Socket() = default;
  explicit Socket(UniqueFd fd) : fd_(std::move(fd)) {}

  // Listens on `path`, replacing what a dead server left there; only this user can connect. Throws Failure,
  // also when somebody listens there who is alive.
  static Socket Listen(const std::string& path);

  // Empty when there is nobody to accept any more.
  Socket Accept() const;

  // False when the peer is gone, or cannot take it now and `flags` is MSG_DONTWAIT.
  bool Send(std::span<const std::byte> packet, int flags = 0) const;
  bool SendWithDescriptor(std::span<const std::byte> packet, int descriptor) const;

  enum class Received { kPacket, kTimeout, kEnd };
  // `size` becomes that of the whole packet, which can be more than the buffer holds. With MSG_DONTWAIT in
  // `flags` the time is up at once.
  Received Receive(std::span<std::byte> buffer, size_t& size, int flags = 0) const;

  // 0 is none.
  void SetReceiveTimeout(int milliseconds) const;
  uid_t PeerUser() const;
  // Wakes whoever waits in Send, Receive or Accept.
  void Shutdown() const;

  int get() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }

 private:
  UniqueFd fd_;
};

template <typename T>
std::span<const std::byte> BytesOf(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

}  // namespace pytriton
