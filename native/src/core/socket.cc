// SPDX-License-Identifier: Apache-2.0
#include "core/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/failure.h"

namespace pytriton {

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

Socket Socket::Listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw Failure(Code::kInvalidArgument, "socket path \"" + path + "\" is longer than " +
                                              std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);

  Socket listener(UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)));
  if (!listener) {
    throw SystemFailure("creating a socket");
  }
  const auto* place = reinterpret_cast<const sockaddr*>(&address);
  const Socket visitor(UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (connect(visitor.get(), place, sizeof(address)) == 0 || errno == EAGAIN) {
    throw Failure(Code::kAlreadyExists, "\"" + path + "\" is in use: what it is for is loaded already");
  }
  unlink(path.c_str());
  if (bind(listener.get(), place, sizeof(address)) != 0 || chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 ||
      listen(listener.get(), SOMAXCONN) != 0) {
    throw SystemFailure("listening on \"" + path + "\"");
  }
  return listener;
}

Socket Socket::Accept() const {
  while (true) {
    const int fd = accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) {
      return Socket(UniqueFd(fd));
    }
    // What accept(2) can say of a connection that is already gone must not end the listener.
    if (errno != EINTR && errno != ECONNABORTED) {
      return Socket();
    }
  }
}

bool Socket::Send(std::span<const std::byte> packet, int flags) const {
  while (true) {
    const ssize_t sent = send(fd_.get(), packet.data(), packet.size(), MSG_NOSIGNAL | flags);
    if (sent >= 0 || errno != EINTR) {
      return sent >= 0;
    }
  }
}

bool Socket::SendWithDescriptor(std::span<const std::byte> packet, int descriptor) const {
  iovec part{const_cast<std::byte*>(packet.data()), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  while (true) {
    const ssize_t sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (sent >= 0 || errno != EINTR) {
      return sent >= 0;
    }
  }
}

Socket::Received Socket::Receive(std::span<std::byte> buffer, size_t& size, int flags) const {
  while (true) {
    const ssize_t received = recv(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC | flags);
    if (received > 0) {
      size = static_cast<size_t>(received);
      return Received::kPacket;
    }
    if (received == 0) {
      return Received::kEnd;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return Received::kTimeout;
    }
    if (errno != EINTR) {
      return Received::kEnd;
    }
  }
}

void Socket::SetReceiveTimeout(int milliseconds) const {
  const timeval timeout{milliseconds / 1000, (milliseconds % 1000) * 1000};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

uid_t Socket::PeerUser() const {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    throw SystemFailure("asking who connected");
  }
  return credentials.uid;
}

void Socket::Shutdown() const {
  shutdown(fd_.get(), SHUT_RDWR);
}

}  // namespace pytriton
