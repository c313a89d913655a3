// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/budget.h"
#include "core/failure.h"
#include "core/meter.h"
#include "core/permit.h"
#include "core/readiness.h"
#include "core/results.h"
#include "core/socket.h"
#include "core/worker_memory.h"
#include "pytriton/shm_layout.h"

namespace pytriton {

class Link;

// One batch on its way through a worker. Ends with its final result or with a failure, never with both, never
// with neither.
class Task {
 public:
  virtual ~Task() = default;
  // The worker is about to get it. Called once at most, with the link's lock held.
  virtual void OnPosted(Link& /*link*/, uint64_t /*slot*/) {}
  // Throws ProtocolError when the worker wrote nonsense; OnFailure follows then.
  virtual void OnResult(const SlotView& slot, const Message& message) = 0;
  virtual void OnFailure(const Failure& failure) = 0;
};

// Who is told about workers that come, get free and go.
class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  virtual void Attached(Link& link) = 0;
  virtual void Detached(Link& link, const std::string& why) = 0;
  virtual void Rejected(const std::string& why) = 0;
  // A worker wants no more batches; it has greeted with this token.
  virtual void Leaving(uint64_t token) = 0;
  virtual void Released(Link& link) = 0;
  virtual Meter& meter() { return Meter::None(); }
};

// One connected worker: its socket, its segment and the slots it has in use.
class Link {
 public:
  // A place for one batch, not yet known to the worker.
  struct Reservation {
    uint64_t slot;
    Block block;
    std::byte* base;    // of the segment
    uint64_t need = 0;  // bytes, without the room
  };

  Link(Socket socket, uint64_t memory_limit, std::chrono::milliseconds idle, LinkOwner& owner,
       std::shared_ptr<Budget> budget = nullptr);

  // Greets the worker and answers it until it goes; runs in a thread of its own.
  void Serve();
  // Ends Serve, from any thread.
  void Close() { socket_.Shutdown(); }

  // A block for so many requests, with room for what is expected to follow if there is so much. Throws
  // Failure when the worker is gone or its memory is used up.
  Reservation Reserve(uint64_t length, uint64_t room = 0, size_t requests = 1);
  void Abandon(const Reservation& reservation);
  // Hands the batch to the worker. Throws Failure, and leaves the task, when the worker is gone.
  void Post(const Reservation& reservation, std::unique_ptr<Task>& task, Permit& permit);
  // The same, of a worker that takes one batch at a time, and reads its answer in the calling thread: passing
  // it from thread to thread would cost more than all the rest. Returns when the batch is done, or when the
  // worker is gone; then the serving thread fails it.
  void Run(const Reservation& reservation, std::unique_ptr<Task>& task, Permit& permit);

  // Lets the worker know that requests of a slot were cancelled; from any thread.
  void TellCancelled(uint64_t slot);

  bool closed() const;
  uint32_t capacity() const { return capacity_; }
  uint64_t memory_limit() const { return memory_.segment().size(); }
  uint64_t token() const { return token_; }

  uint32_t in_flight = 0;  // guarded by the owner
  bool leaving = false;    // guarded by the owner

 private:
  struct Slot {
    std::vector<Block> blocks;
    uint64_t need = 0;           // what the batch cannot do without, of them
    std::unique_ptr<Task> task;  // until the final result
    Permit permit;
    bool released = false;  // the worker refers to it no more
  };

  enum class Step { kNothing, kMessage, kBatchDone, kEnd };

  bool Greet();
  std::string ReceiveLoop();
  Step Receive(int flags);
  bool Handle(const Message& message);
  void Tell(const Message& message);
  bool HandleResult(const Message& message);
  void HandleReserve(const Message& message);
  void HandleRelease(const Message& message);
  void HandleSync(const Message& message);
  Slot& Find(const Message& message);
  void FreeIfDone(uint64_t id, Slot& slot);
  void FailAll(const Failure& failure);
  void Listen(bool listen);
  bool KeepsSlots() const;
  void CountMemory();
  void GiveBackIdle();
  std::optional<Block> TakeMemory(uint64_t length, WorkerMemory::Refusal& refusal, uint64_t held = 0);

  Socket socket_;
  const Readiness readiness_;
  LinkOwner& owner_;
  WorkerMemory memory_;
  const std::chrono::milliseconds idle_;
  uint32_t capacity_ = 0;
  uint64_t token_ = 0;

  std::mutex reading_;     // held by whoever receives; taken before mutex_
  std::string end_;        // why nothing more is received; guarded by reading_
  bool listening_ = true;  // guarded by reading_

  mutable std::mutex mutex_;
  uint64_t memory_counted_ = 0;  // guarded by mutex_
  // Guarded by mutex_; only whoever holds reading_ changes or erases a posted slot.
  std::unordered_map<uint64_t, Slot> slots_;
  uint64_t next_slot_ = 1;                           // guarded by mutex_
  bool closed_ = false;                              // guarded by mutex_
  std::chrono::steady_clock::time_point last_trim_;  // only the serving thread's
};

}  // namespace pytriton
