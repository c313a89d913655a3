// SPDX-License-Identifier: Apache-2.0
#include "core/session.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

namespace pytriton {

namespace {

// Pause of the acceptor when the process is out of descriptors.
constexpr std::chrono::milliseconds kAcceptPause{50};

}  // namespace

Session::Session(Options options)
    : options_(std::move(options)),
      listener_(Socket::Listen(options_.socket_path)),
      alone_since_(std::chrono::steady_clock::now()) {
  acceptor_ = std::thread(&Session::AcceptLoop, this);
}

Session::~Session() {
  Stop();
  // While it is ours: once nobody listens, the next session may take the path.
  unlink(options_.socket_path.c_str());
  {
    const std::unique_lock lock(mutex_);
    listener_.Shutdown();
  }
  acceptor_.join();
  Stop();  // who came in between
  // Links report to this object until their threads end, so their list stays as it is meanwhile.
  for (const auto& connection : connections_) {
    connection->thread.join();
  }
}

void Session::Stop() {
  const std::unique_lock lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  for (const auto& connection : connections_) {
    if (connection->link) {
      connection->link->Close();
    }
  }
}

void Session::AcceptLoop() {
  while (true) {
    Socket socket = listener_.Accept();
    std::unique_lock lock(mutex_);
    if (stopping_) {
      return;
    }
    if (std::exchange(lost_listener_, false)) {
      lock.unlock();
      ListenAnew();
      continue;
    }
    if (!socket) {
      changed_.wait_for(lock, kAcceptPause, [&] { return stopping_; });
      continue;
    }
    lock.unlock();
    JoinFinished();
    try {
      Admit(std::move(socket));
    } catch (const NoRoom& error) {
      NoteNoRoom(error.what());
    } catch (const std::exception& error) {
      Rejected(error.what());
    }
  }
}

// Somebody has removed the socket, with its directory perhaps: workers would not find back.
void Session::ListenAnew() {
  try {
    const std::filesystem::path directory = std::filesystem::path(options_.socket_path).parent_path();
    if (std::filesystem::create_directories(directory)) {
      std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
    }
    Socket listener = Socket::Listen(options_.socket_path);
    const std::unique_lock lock(mutex_);
    if (stopping_) {
      unlink(options_.socket_path.c_str());
      return;
    }
    listener_ = std::move(listener);
    options_.log("the socket at which workers connect had been removed, and was made again");
  } catch (const std::exception& error) {
    options_.log(std::string("the socket at which workers connect cannot be made again: ") + error.what());
  }
}

void Session::Admit(Socket socket) {
  auto connection = std::make_unique<Connection>();
  connection->link =
      std::make_shared<Link>(std::move(socket), options_.memory_limit, options_.idle, *this, options_.budget);
  const std::unique_lock lock(mutex_);
  connections_.reserve(connections_.size() + 1);
  connection->thread = std::thread(&Session::ServeLink, this, std::ref(*connection));
  connections_.push_back(std::move(connection));
}

// The worker tries again and again; whoever loads the model does not wait for that.
void Session::NoteNoRoom(const std::string& why) {
  const std::unique_lock lock(mutex_);
  if (std::exchange(no_room_, why) != why) {
    Rejected(why);
  }
  changed_.notify_all();
}

void Session::ServeLink(Connection& connection) {
  connection.link->Serve();
  std::shared_ptr<Link> link;  // unmapped outside of the lock
  const std::unique_lock lock(mutex_);
  link.swap(connection.link);
}

void Session::JoinFinished() {
  std::vector<std::unique_ptr<Connection>> finished;
  {
    const std::unique_lock lock(mutex_);
    const auto gone =
        std::stable_partition(connections_.begin(), connections_.end(),
                              [](const auto& connection) { return connection->link != nullptr; });
    std::move(gone, connections_.end(), std::back_inserter(finished));
    connections_.erase(gone, connections_.end());
  }
  for (const auto& connection : finished) {
    connection->thread.join();
  }
}

Session::Connection* Session::Find(const Link& link) {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const auto& connection) { return connection->link.get() == &link; });
  return found == connections_.end() ? nullptr : found->get();
}

void Session::Attached(Link& link) {
  const std::unique_lock lock(mutex_);
  Find(link)->attached = true;
  ++attached_;
  no_room_.clear();
  CountWorker(link, 1);
  if (lost_ > 0) {
    --lost_;
    meter().CountRestart();
  }
  changed_.notify_all();
}

void Session::Detached(Link& link, const std::string& why) {
  const std::unique_lock lock(mutex_);
  Find(link)->attached = false;
  if (--attached_ == 0) {
    alone_since_ = std::chrono::steady_clock::now();
  }
  changed_.notify_all();
  CountWorker(link, -1);
  if (!stopping_ && access(options_.socket_path.c_str(), F_OK) != 0) {
    lost_listener_ = true;
    listener_.Shutdown();  // wakes the acceptor
  }
  if (!stopping_ && !link.leaving) {
    ++lost_;
    options_.log("a worker " + why + "; " + std::to_string(attached_) + " left");
  }
}

void Session::Leaving(uint64_t token) {
  const std::unique_lock lock(mutex_);
  for (const auto& connection : connections_) {
    if (connection->attached && connection->link->token() == token) {
      connection->link->leaving = true;
      if (connection->link->in_flight == 0) {
        connection->link->Close();
      }
    }
  }
  changed_.notify_all();
}

void Session::Released(Link& link) {
  const std::unique_lock lock(mutex_);
  meter().CountInFlight(-1);
  if (--link.in_flight == 0) {
    meter().CountBusy(-1);
    if (link.leaving) {
      link.Close();
    }
  }
  changed_.notify_all();
}

void Session::CountWorker(const Link& link, int change) {
  const uint64_t most =
      options_.budget ? options_.budget->Lowest().limit() : std::numeric_limits<int64_t>::max();
  const auto limit_before = static_cast<int64_t>(std::min(memory_of_workers_, most));
  memory_of_workers_ += static_cast<uint64_t>(change) * link.memory_limit();
  const auto limit = static_cast<int64_t>(std::min(memory_of_workers_, most));
  meter().CountWorkers(change, change * int64_t{link.capacity()}, limit - limit_before);
}

void Session::WaitForWorkers(uint32_t count, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const bool in_time = changed_.wait_for(
      lock, timeout, [&] { return attached_ >= count || given_up_ || stopping_ || !no_room_.empty(); });
  if (attached_ < count && !no_room_.empty()) {
    throw Failure(Code::kUnavailable, no_room_);
  }
  if (attached_ < count) {
    const std::string when =
        in_time ? "before loading was given up" : "within " + std::to_string(timeout.count()) + " ms";
    throw Failure(Code::kUnavailable,
                  std::to_string(attached_) + " of " + std::to_string(count) + " workers attached " + when);
  }
}

bool Session::HasWorkers() const {
  const std::unique_lock lock(mutex_);
  return attached_ > 0;
}

void Session::GiveUpWaiting() {
  const std::unique_lock lock(mutex_);
  given_up_ = true;
  changed_.notify_all();
}

// Whether a worker is one for batches that are to come.
bool Session::Takes(const Connection& connection) {
  return connection.attached && !connection.link->leaving;
}

Permit Session::TakeFree() {
  Connection* best = nullptr;
  for (const auto& connection : connections_) {
    if (Takes(*connection) && connection->link->in_flight < connection->link->capacity() &&
        (best == nullptr || connection->link->in_flight < best->link->in_flight)) {
      best = connection.get();
    }
  }
  if (best == nullptr) {
    return {};
  }
  meter().CountInFlight(1);
  if (++best->link->in_flight == 1) {
    meter().CountBusy(1);
  }
  return Permit(best->link, this);
}

Permit Session::Acquire(Claim& claim) {
  std::unique_lock lock(mutex_);
  if (std::exchange(claim.session_, nullptr) != nullptr) {
    --claims_;
  }
  while (true) {
    if (Permit permit = TakeFree()) {
      return permit;
    }
    if (stopping_) {
      throw Failure(Code::kUnavailable,
                    "the model is being unloaded, or the application that serves it has ended");
    }
    if (attached_ > 0) {
      changed_.wait(lock);
    } else if (changed_.wait_until(lock, alone_since_ + options_.grace) == std::cv_status::timeout &&
               attached_ == 0) {
      throw Failure(Code::kUnavailable,
                    "the model has no worker: the process that runs its function has ended or "
                    "does not answer; the request can be sent again");
    }
  }
}

uint32_t Session::FreePlaces() const {
  uint32_t places = 0;
  for (const auto& connection : connections_) {
    if (Takes(*connection)) {
      places += connection->link->capacity() - connection->link->in_flight;
    }
  }
  return places;
}

uint32_t Session::InFlight() const {
  uint32_t batches = 0;
  for (const auto& connection : connections_) {
    batches += connection->attached ? connection->link->in_flight : 0;
  }
  return batches;
}

Claim Session::AwaitFree() {
  std::unique_lock lock(mutex_);
  // With nothing in flight, no place would ever become free: then there are more claims than places.
  changed_.wait(lock, [&] { return FreePlaces() > claims_ || InFlight() == 0 || stopping_; });
  ++claims_;
  return Claim(this);
}

void Claim::Drop() {
  if (Session* const session = std::exchange(session_, nullptr)) {
    const std::unique_lock lock(session->mutex_);
    --session->claims_;
    session->changed_.notify_all();
  }
}

}  // namespace pytriton
