// SPDX-License-Identifier: Apache-2.0
#include "core/readiness.h"

#include <sys/epoll.h>

#include "core/failure.h"

namespace pytriton {

namespace {

epoll_event Interest(bool packets) {
  epoll_event event{};
  event.events = EPOLLRDHUP | (packets ? static_cast<uint32_t>(EPOLLIN) : 0);
  return event;
}

}  // namespace

Readiness::Readiness(const Socket& socket) : epoll_(epoll_create1(EPOLL_CLOEXEC)), socket_(socket.get()) {
  epoll_event event = Interest(true);
  if (!epoll_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket_, &event) != 0) {
    throw SystemFailure("watching a worker's socket");
  }
}

bool Readiness::Wait(std::chrono::milliseconds timeout) const {
  epoll_event event;
  // An interruption counts as something: whoever waits looks and waits again.
  return epoll_wait(epoll_.get(), &event, 1, static_cast<int>(timeout.count())) != 0;
}

void Readiness::Watch(bool packets) const {
  epoll_event event = Interest(packets);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket_, &event);
}

}  // namespace pytriton
