// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the server, in front of the C library's send(), with which libevhtp hands work to a thread
// of the HTTP front end. Where very many responses are handed over before the thread takes them, the socket
// is full; the server does not look whether the work was taken, and the response, or the end of a stream,
// would be lost. Here it is tried again.
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>

#include "preload/hook.h"

namespace {

using Send = ssize_t (*)(int descriptor, const void* data, size_t size, int flags);

constexpr size_t kCommandSize = 17;  // evthr_cmd of libevhtp's thread.c, which is packed
constexpr int kRetryMs = 10;
constexpr int kMostRetries = 1000;  // were it the thread itself, it would wait for ever

constinit pytriton::Real<Send> real_send("send");

}  // namespace

PYTRITON_EXPORT ssize_t send(int descriptor, const void* data, size_t size, int flags) {
  ssize_t sent = real_send(descriptor, data, size, flags);
  if (size != kCommandSize || flags != 0) {
    return sent;
  }
  for (int retry = 0; sent < 0 && errno == EAGAIN && retry < kMostRetries; ++retry) {
    pollfd writable{descriptor, POLLOUT, 0};
    poll(&writable, 1, kRetryMs);
    sent = real_send(descriptor, data, size, flags);
  }
  return sent;
}
