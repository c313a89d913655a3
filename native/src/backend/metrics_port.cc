// SPDX-License-Identifier: Apache-2.0
#include "backend/metrics_port.h"

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "backend/error.h"
#include "pytriton/metric_layout.h"

namespace pytriton {

namespace {

constexpr const char* kName = "/metrics";
constexpr size_t kMostConnections = 1000;
constexpr int kGreetingTimeoutMs = 5000;
constexpr std::chrono::milliseconds kAcceptPause{50};  // when the process is out of descriptors

// False when the peer is gone.
bool Reply(const Socket& socket, const std::string& text) {
  // A packet of nothing would look like the end.
  const std::string packet = "\n" + text;
  return socket.Send(std::as_bytes(std::span(packet)), MSG_DONTWAIT);
}

MetricsHello ReceiveHello(const Socket& socket) {
  if (socket.PeerUser() != geteuid()) {
    throw ProtocolError("it runs as another user than the server");
  }
  MetricsHello hello;
  size_t size = 0;
  socket.SetReceiveTimeout(kGreetingTimeoutMs);
  if (socket.Receive(std::as_writable_bytes(std::span(&hello, 1)), size) != Socket::Received::kPacket ||
      size != sizeof(hello) || hello.magic != kMetricsMagic) {
    throw ProtocolError("it sent no greeting of this version of pytriton");
  }
  socket.SetReceiveTimeout(0);
  return hello;
}

}  // namespace

MetricsPort::MetricsPort(const std::string& path, std::shared_ptr<UserMetrics> metrics)
    : path_(path), metrics_(std::move(metrics)), listener_(Socket::Listen(path)) {
  acceptor_ = std::thread(&MetricsPort::AcceptLoop, this);
}

MetricsPort::~MetricsPort() {
  unlink(path_.c_str());
  {
    const std::unique_lock lock(mutex_);
    stopping_ = true;
  }
  listener_.Shutdown();
  acceptor_.join();
  for (Connection& connection : connections_) {
    // What was received is taken and acknowledged all the same.
    shutdown(connection.socket.get(), SHUT_RD);
  }
  for (Connection& connection : connections_) {
    connection.thread.join();
  }
}

void MetricsPort::AcceptLoop() {
  while (true) {
    Socket socket = listener_.Accept();
    {
      const std::unique_lock lock(mutex_);
      if (stopping_) {
        return;
      }
    }
    if (!socket) {
      std::this_thread::sleep_for(kAcceptPause);
      continue;
    }
    JoinDone();
    try {
      Admit(std::move(socket));
    } catch (const std::system_error& error) {
      Log(TRITONSERVER_LOG_WARN, std::string("no thread for metrics of a process: ") + error.what());
    }
  }
}

void MetricsPort::Admit(Socket socket) {
  const std::unique_lock lock(mutex_);
  if (connections_.size() >= kMostConnections) {
    return;
  }
  Connection& connection = connections_.emplace_back();
  connection.socket = std::move(socket);
  try {
    connection.thread = std::thread([this, &connection] {
      Serve(connection.socket);
      const std::unique_lock finish(mutex_);
      connection.done = true;
    });
  } catch (...) {
    connections_.pop_back();
    throw;
  }
}

void MetricsPort::Serve(const Socket& socket) {
  try {
    const std::unique_ptr<UserMetrics::Source> source = metrics_->Open(ReceiveHello(socket).process);
    Reply(socket, {});
    std::vector<std::byte> packet(kMaxMetricsPacket);
    size_t size = 0;
    while (socket.Receive(packet, size) == Socket::Received::kPacket) {
      if (size > packet.size()) {
        throw ProtocolError("it sent a packet of " + std::to_string(size) + " bytes");
      }
      if (!Reply(socket, source->Apply({packet.data(), size}))) {
        break;
      }
    }
  } catch (const Failure& failure) {
    Reply(socket, failure.what());
  } catch (const std::exception& error) {
    Log(TRITONSERVER_LOG_WARN, std::string("a process that reports metrics is refused: ") + error.what());
  }
  socket.Shutdown();
}

void MetricsPort::JoinDone() {
  std::list<Connection> done;
  {
    const std::unique_lock lock(mutex_);
    for (auto connection = connections_.begin(); connection != connections_.end();) {
      const auto next = std::next(connection);
      if (connection->done) {
        done.splice(done.end(), connections_, connection);
      }
      connection = next;
    }
  }
  for (Connection& connection : done) {
    connection.thread.join();
  }
}

std::shared_ptr<void> MetricsPorts::Open(const std::string& model_socket_path) noexcept {
  std::shared_ptr<void> kept;
  Ignore(Guard([&] {
    const std::string path = model_socket_path.substr(0, model_socket_path.rfind('/')) + kName;
    {
      const std::unique_lock lock(mutex_);
      const auto known = ports_.find(path);
      Entry& entry =
          known != ports_.end()
              ? known->second
              : ports_.emplace(path, Entry{std::make_unique<MetricsPort>(path, metrics_), 0}).first->second;
      ++entry.users;
    }
    kept = std::shared_ptr<void>(this, [this, path](void*) { Close(path); });
  }));
  return kept;
}

// Under the lock, so that nobody opens one while the path is still taken.
void MetricsPorts::Close(const std::string& path) {
  const std::unique_lock lock(mutex_);
  const auto entry = ports_.find(path);
  if (--entry->second.users == 0) {
    ports_.erase(entry);
  }
}

}  // namespace pytriton
