// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "core/socket.h"

namespace pytriton {

// Waits until a socket has something to read, or has ended. While it is muted, only the end wakes who waits:
// another thread reads meanwhile, and must not have to wake a second one for every packet.
class Readiness {
 public:
  // Throws Failure.
  explicit Readiness(const Socket& socket);

  // False when nothing came in time.
  bool Wait(std::chrono::milliseconds timeout) const;

  // From any thread, also while another one waits.
  void Mute() const { Watch(false); }
  void Unmute() const { Watch(true); }

 private:
  void Watch(bool packets) const;

  UniqueFd epoll_;
  int socket_;
};

}  // namespace pytriton
