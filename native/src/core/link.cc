// SPDX-License-Identifier: Apache-2.0
#include "core/link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "core/message.h"

namespace pytriton {

namespace {

constexpr int kGreetingTimeoutMs = 5000;

}  // namespace

Link::Link(Socket socket, uint64_t memory_limit, std::chrono::milliseconds idle, LinkOwner& owner,
           std::shared_ptr<Budget> budget)
    : socket_(std::move(socket)),
      readiness_(socket_),
      owner_(owner),
      memory_(memory_limit, std::move(budget)),
      idle_(idle),
      last_trim_(std::chrono::steady_clock::now()) {}

void Link::Serve() {
  if (!Greet()) {
    return;
  }
  owner_.Attached(*this);
  const std::string why = ReceiveLoop();
  Close();
  FailAll(Failure(Code::kUnavailable,
                  "the worker that held this request " + why + "; the request can be sent again"));
  owner_.Detached(*this, why);
}

bool Link::Greet() {
  try {
    if (socket_.PeerUser() != geteuid()) {
      throw ProtocolError("the worker runs as another user than the server");
    }
    socket_.SetReceiveTimeout(kGreetingTimeoutMs);
    std::array<std::byte, sizeof(Hello)> packet;
    size_t size = 0;
    if (socket_.Receive(packet, size) != Socket::Received::kPacket) {
      throw ProtocolError("a connection that sent no greeting");
    }
    const Hello hello = DecodeHello({packet.data(), size > packet.size() ? 0 : size});
    if (hello.capacity == 0) {
      owner_.Leaving(hello.token);
      return false;
    }
    capacity_ = hello.capacity;
    token_ = hello.token;
  } catch (const ProtocolError& error) {
    socket_.Send(MakeRejection(error.what()));
    owner_.Rejected(error.what());
    return false;
  }
  socket_.SetReceiveTimeout(0);
  const Message welcome = MakeMessage(Kind::kWelcome, 0, 0, memory_.segment().size());
  return socket_.SendWithDescriptor(BytesOf(welcome), memory_.segment().descriptor());
}

std::string Link::ReceiveLoop() {
  while (true) {
    if (!readiness_.Wait(idle_)) {
      GiveBackIdle();
      continue;
    }
    // Whoever runs a batch reads until it is done, or until the end.
    const std::unique_lock reading(reading_);
    Step step = Step::kMessage;
    while (step == Step::kMessage || step == Step::kBatchDone) {
      step = Receive(MSG_DONTWAIT);
    }
    if (step == Step::kEnd) {
      return end_;
    }
    if (std::chrono::steady_clock::now() - last_trim_ > idle_) {
      GiveBackIdle();
    }
  }
}

Link::Step Link::Receive(int flags) {
  if (!end_.empty()) {
    return Step::kEnd;
  }
  std::array<std::byte, sizeof(Message)> packet;
  size_t size = 0;
  switch (socket_.Receive(packet, size, flags)) {
    case Socket::Received::kTimeout:
      return Step::kNothing;
    case Socket::Received::kEnd:
      end_ = "went away";
      return Step::kEnd;
    case Socket::Received::kPacket:
      break;
  }
  try {
    // A packet longer than a message was cut: let the decoder say so.
    return Handle(DecodeMessage({packet.data(), size > packet.size() ? 0 : size})) ? Step::kBatchDone
                                                                                   : Step::kMessage;
  } catch (const ProtocolError& error) {
    end_ = std::string("broke the protocol (") + error.what() + ")";
  } catch (const std::exception& error) {
    // Such as results that ask for more memory than there is: no reason to end the server.
    end_ = std::string("sent what could not be handled (") + error.what() + ")";
  }
  Close();  // wakes the serving thread, if it is not this one
  return Step::kEnd;
}

// Whether a batch is done with it.
bool Link::Handle(const Message& message) {
  switch (static_cast<Kind>(message.kind)) {
    case Kind::kResult:
      return HandleResult(message);
    case Kind::kReserve:
      HandleReserve(message);
      return false;
    case Kind::kSync:
      HandleSync(message);
      return false;
    default:
      HandleRelease(message);
      return false;
  }
}

Link::Slot& Link::Find(const Message& message) {
  const auto found = slots_.find(message.slot);
  if (found == slots_.end()) {
    throw ProtocolError("message " + std::to_string(message.kind) + " about slot " +
                        std::to_string(message.slot) + ", which is not in use");
  }
  return found->second;
}

bool Link::HandleResult(const Message& message) {
  std::unique_lock lock(mutex_);
  Slot& slot = Find(message);
  if (slot.task == nullptr) {
    throw ProtocolError("a result after the final one of slot " + std::to_string(message.slot));
  }
  lock.unlock();
  slot.task->OnResult({memory_.segment().base(), slot.blocks}, message);
  lock.lock();
  slot.released = slot.released || (message.flags & kFlagReleased) != 0;
  if ((message.flags & kFlagFinal) == 0) {
    return false;
  }
  const std::unique_ptr<Task> task = std::move(slot.task);
  const Permit permit = std::move(slot.permit);
  FreeIfDone(message.slot, slot);
  lock.unlock();  // before the task and the permit, which call out, are destroyed
  return true;
}

void Link::HandleReserve(const Message& message) {
  const std::unique_lock lock(mutex_);
  Slot& slot = Find(message);
  if (slot.task == nullptr) {
    throw ProtocolError("memory wanted for slot " + std::to_string(message.slot) + " after its final result");
  }
  WorkerMemory::Refusal refusal;
  const std::optional<Block> block = TakeMemory(message.length, refusal, slot.need);
  if (!block) {
    Message refused = MakeMessage(Kind::kRefused, message.slot, refusal.need, refusal.limit);
    refused.flags = static_cast<uint32_t>(refusal.which);
    Tell(refused);
    return;
  }
  slot.blocks.push_back(*block);
  slot.need += message.length;
  Tell(MakeMessage(Kind::kReserved, message.slot, block->offset, block->length));
}

void Link::HandleRelease(const Message& message) {
  const std::unique_lock lock(mutex_);
  Slot& slot = Find(message);
  if (slot.released) {
    throw ProtocolError("slot " + std::to_string(message.slot) + " released twice");
  }
  slot.released = true;
  FreeIfDone(message.slot, slot);
}

// Messages are dealt with in the order in which they came, so there is nothing to wait for.
void Link::HandleSync(const Message& message) {
  {
    const std::unique_lock lock(mutex_);
    Find(message);
  }
  Tell(MakeMessage(Kind::kSynced, message.slot));
}

void Link::TellCancelled(uint64_t slot) {
  Tell(MakeMessage(Kind::kCancelled, slot));
}

void Link::FreeIfDone(uint64_t id, Slot& slot) {
  if (slot.task != nullptr || !slot.released) {
    return;
  }
  for (const Block& block : slot.blocks) {
    memory_.Free(block);
  }
  CountMemory();
  slots_.erase(id);
}

Link::Reservation Link::Reserve(uint64_t length, uint64_t room, size_t requests) {
  const std::unique_lock lock(mutex_);
  if (closed_) {
    throw Failure(Code::kUnavailable,
                  "the worker went away before it got this request; the request can be sent again");
  }
  WorkerMemory::Refusal refusal;
  std::optional<Block> block = memory_.Take(length + room, refusal);
  if (block) {
    CountMemory();
  } else {
    block = TakeMemory(length, refusal);
  }
  if (!block) {
    throw refusal.AsFailure(requests, slots_.size());
  }
  return {next_slot_++, *block, memory_.segment().base(), length};
}

void Link::Abandon(const Reservation& reservation) {
  const std::unique_lock lock(mutex_);
  memory_.Free(reservation.block);
  CountMemory();
}

std::optional<Block> Link::TakeMemory(uint64_t length, WorkerMemory::Refusal& refusal, uint64_t held) {
  const std::optional<Block> block = memory_.Take(length, refusal, held);
  if (block) {
    CountMemory();
  } else {
    owner_.meter().CountMemoryRefusal();
  }
  return block;
}

void Link::CountMemory() {
  const uint64_t now = closed_ ? 0 : memory_.in_use();
  owner_.meter().CountMemory(static_cast<int64_t>(now - memory_counted_));
  memory_counted_ = now;
}

void Link::Post(const Reservation& reservation, std::unique_ptr<Task>& task, Permit& permit) {
  {
    const std::unique_lock lock(mutex_);
    if (closed_) {
      throw Failure(Code::kUnavailable,
                    "the worker went away before it got this request; the request can be sent again");
    }
    Slot& slot = slots_[reservation.slot];
    slot.blocks.push_back(reservation.block);
    slot.need = reservation.need;
    slot.task = std::move(task);
    slot.permit = std::move(permit);
    slot.task->OnPosted(*this, reservation.slot);
  }
  const Block& block = reservation.block;
  Tell(MakeMessage(Kind::kExecute, reservation.slot, block.offset, block.length));
}

void Link::Run(const Reservation& reservation, std::unique_ptr<Task>& task, Permit& permit) {
  const std::unique_lock reading(reading_);
  Listen(false);
  try {
    Post(reservation, task, permit);
  } catch (...) {
    Listen(true);
    throw;
  }
  Step step = Step::kMessage;
  while (step == Step::kMessage || step == Step::kNothing) {
    step = Receive(0);
  }
  Listen(KeepsSlots());
}

// Whether the serving thread is woken by what the worker says. Between batches it says something only of
// slots that it keeps; without any, two system calls a batch are saved.
void Link::Listen(bool listen) {
  if (listening_ == listen) {
    return;
  }
  listening_ = listen;
  if (listen) {
    readiness_.Unmute();
  } else {
    readiness_.Mute();
  }
}

bool Link::KeepsSlots() const {
  const std::unique_lock lock(mutex_);
  return !slots_.empty();
}

void Link::Tell(const Message& message) {
  // Never waits for a worker that does not read. The serving thread sees the end and fails what the worker
  // held.
  if (!socket_.Send(BytesOf(message), MSG_DONTWAIT)) {
    Close();
  }
}

bool Link::closed() const {
  const std::unique_lock lock(mutex_);
  return closed_;
}

void Link::FailAll(const Failure& failure) {
  std::unordered_map<uint64_t, Slot> slots;
  {
    const std::unique_lock lock(mutex_);
    closed_ = true;
    CountMemory();
    slots.swap(slots_);
  }
  for (auto& [id, slot] : slots) {
    if (slot.task != nullptr) {
      slot.task->OnFailure(failure);
    }
  }
}

void Link::GiveBackIdle() {
  last_trim_ = std::chrono::steady_clock::now();
  memory_.GiveBackIdle();
}

}  // namespace pytriton
