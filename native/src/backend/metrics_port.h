// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "backend/user_metrics.h"
#include "core/socket.h"

namespace pytriton {

// Where the processes behind the models of one directory report the metrics of their functions.
class MetricsPort {
 public:
  // Throws Failure when it cannot listen.
  MetricsPort(const std::string& path, std::shared_ptr<UserMetrics> metrics);
  ~MetricsPort();
  MetricsPort(const MetricsPort&) = delete;
  MetricsPort& operator=(const MetricsPort&) = delete;

 private:
  struct Connection {
    Socket socket;
    std::thread thread;
    bool done = false;
  };

  void AcceptLoop();
  void Admit(Socket socket);
  void Serve(const Socket& socket);
  void JoinDone();

  const std::string path_;
  const std::shared_ptr<UserMetrics> metrics_;
  Socket listener_;
  std::mutex mutex_;
  std::list<Connection> connections_;  // guarded by mutex_
  bool stopping_ = false;              // guarded by mutex_
  std::thread acceptor_;               // last: it uses all of the above
};

// The ports of a server, one for each directory in which models have their sockets.
class MetricsPorts {
 public:
  // Opens the port for a model with this socket; it lasts as long as any model keeps what it got here. Null,
  // and logged, when it cannot be: models are served without it.
  std::shared_ptr<void> Open(const std::string& model_socket_path) noexcept;

 private:
  struct Entry {
    std::unique_ptr<MetricsPort> port;
    int users = 0;
  };

  void Close(const std::string& path);

  std::mutex mutex_;
  std::map<std::string, Entry> ports_;  // guarded by mutex_
  const std::shared_ptr<UserMetrics> metrics_ = std::make_shared<UserMetrics>();
};

}  // namespace pytriton
