// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/link.h"
#include "core/socket.h"

namespace pytriton {

class Session;

// Somebody who is about to bring a batch; see Session::AwaitFree.
class Claim {
 public:
  Claim() = default;
  explicit Claim(Session* session) : session_(session) {}
  Claim(Claim&& other) noexcept : session_(std::exchange(other.session_, nullptr)) {}
  Claim& operator=(Claim&& other) noexcept {
    std::swap(session_, other.session_);
    return *this;
  }
  ~Claim() { Drop(); }

  void Drop();

 private:
  friend class Session;
  Session* session_ = nullptr;
};

// The workers of one model version: lets them connect, and says which of them takes the next batch. Workers
// come and go at any time.
class Session final : public LinkOwner {
 public:
  struct Options {
    std::string socket_path;
    uint64_t memory_limit = 0;              // bytes, per worker
    std::shared_ptr<Budget> budget;         // of all workers, if they have one
    std::chrono::milliseconds grace{5000};  // how long requests wait when there is no worker
    std::chrono::milliseconds idle{5000};   // how long memory lies idle before it goes back to the system
    std::function<void(const std::string&)> log = [](const std::string&) {};
    Meter* meter = &Meter::None();
  };

  explicit Session(Options options);
  ~Session() override;

  // Lets go of all workers and takes no others: what they hold and what waits for them fails.
  void Stop();

  bool HasWorkers() const;

  // Throws Failure when fewer than `count` workers are there in time, somebody gives up waiting, or there is
  // no room for one.
  void WaitForWorkers(uint32_t count, std::chrono::milliseconds timeout);
  void GiveUpWaiting();

  // Turns a claim, if there is one, into a permit: waits for a worker that is free. Throws Failure when there
  // has been none at all for the grace period.
  Permit Acquire(Claim& claim);

  // Waits until a worker is free that no other claim counts on, or until nothing is in flight. A claim keeps
  // no one else from taking the worker: whoever has a batch goes before those who only expect one.
  Claim AwaitFree();

  // What links report.
  void Attached(Link& link) override;
  void Detached(Link& link, const std::string& why) override;
  void Rejected(const std::string& why) override { options_.log("refused a worker: " + why); }
  void Leaving(uint64_t token) override;
  void Released(Link& link) override;
  Meter& meter() override { return *options_.meter; }

 private:
  friend class Claim;

  struct Connection {
    std::shared_ptr<Link> link;  // none once the worker is gone
    std::thread thread;
    bool attached = false;
  };

  void AcceptLoop();
  void ServeLink(Connection& connection);
  void ListenAnew();
  void Admit(Socket socket);
  void NoteNoRoom(const std::string& why);
  void JoinFinished();
  void CountWorker(const Link& link, int change);
  Connection* Find(const Link& link);
  static bool Takes(const Connection& connection);
  Permit TakeFree();
  uint32_t FreePlaces() const;
  uint32_t InFlight() const;

  const Options options_;
  Socket listener_;  // the acceptor's; it alone changes it, under mutex_
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Connection>> connections_;  // guarded by mutex_
  uint32_t attached_ = 0;                                 // guarded by mutex_
  uint64_t memory_of_workers_ = 0;                        // that they could have by themselves; likewise
  uint32_t lost_ = 0;                                     // guarded by mutex_
  uint32_t claims_ = 0;                                   // guarded by mutex_
  std::chrono::steady_clock::time_point alone_since_;     // guarded by mutex_
  std::string no_room_;                                   // for the last worker; guarded by mutex_
  bool lost_listener_ = false;                            // guarded by mutex_
  bool stopping_ = false;                                 // guarded by mutex_
  bool given_up_ = false;                                 // guarded by mutex_
  std::thread acceptor_;                                  // last: it uses all of the above
};

}  // namespace pytriton
