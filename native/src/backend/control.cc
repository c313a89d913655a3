// SPDX-License-Identifier: Apache-2.0
#include "backend/control.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "backend/error.h"

namespace pytriton {

namespace {

enum Op : uint32_t {
  kLoad = 1,
  kUnload = 2,
  kCounters = 3,
  kAwaitRelease = 4,
  kGiveUp = 5,
  kBeginUnload = 6,
  kCutOff = 7,
  kBeginEnd = 8
};
constexpr int32_t kDone = -1;
constexpr size_t kMaxText = 32 * 1024;
// How long the server may take, once the app is gone, to answer its clients, to send the answers off, and to
// end.
constexpr std::chrono::milliseconds kAnswerTimeout{500};
constexpr int kSendMs = 50;
constexpr int kEndTimeoutMs = 1000;

// A descriptor that becomes readable when the app ends. The socket alone does not tell when a child that the
// app forked keeps the other end open. None on kernels without pidfd_open, or when the app is not our parent
// any more.
UniqueFd WatchApp() {
  const char* pid = std::getenv("PYTRITON_APP_PID");
  if (pid == nullptr || std::atoi(pid) != getppid()) {
    return UniqueFd();
  }
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, getppid(), 0)));
}

// Removes what the app can no longer remove. Each line of the variable names a directory that the app made
// for this server.
void RemoveWorkspace() {
  const char* workspace = std::getenv("PYTRITON_WORKSPACE");
  std::istringstream lines(workspace == nullptr ? "" : workspace);
  for (std::string line; std::getline(lines, line);) {
    std::error_code ignored;
    std::filesystem::remove_all(line, ignored);
  }
}

// Lets the server tell callers that it is ending; does nothing where nothing of ours was preloaded.
void BeginEnd() {
  const auto set_ending = reinterpret_cast<void (*)()>(dlsym(RTLD_DEFAULT, "pytriton_set_ending"));
  if (set_ending != nullptr) {
    set_ending();
  }
}

}  // namespace

Control::Control(Socket socket, TRITONSERVER_Server* server, ModelRegistry& models)
    : socket_(std::move(socket)), server_(server), models_(models), stop_event_(eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::thread(&Control::Serve, this);
}

Control::~Control() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_event_.get(), &one, sizeof(one));
  models_.Close();
  thread_.join();
  for (Command& command : commands_) {
    command.thread.join();
  }
}

void Control::Serve() {
  const UniqueFd app = WatchApp();
  uint32_t major = 0;
  uint32_t minor = 0;
  Ignore(TRITONBACKEND_ApiVersion(&major, &minor));
  Reply(0, 0, std::to_string(major) + "." + std::to_string(minor));
  std::array<std::byte, 4096> packet;
  while (WaitForPacket(app.get())) {
    size_t size = 0;
    if (socket_.Receive(packet, size) != Socket::Received::kPacket) {
      EndServer();
      return;
    }
    uint32_t head[2];
    if (size < sizeof(head) || size > packet.size()) {
      Log(TRITONSERVER_LOG_ERROR, "a command of " + std::to_string(size) + " bytes was ignored");
      continue;
    }
    std::memcpy(head, packet.data(), sizeof(head));
    Start(head[0], head[1],
          std::string(reinterpret_cast<const char*>(packet.data()) + sizeof(head), size - sizeof(head)));
  }
}

bool Control::WaitForPacket(int app_descriptor) const {
  // Negative descriptors are passed over by poll.
  pollfd descriptors[] = {
      {stop_event_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}, {app_descriptor, POLLIN, 0}};
  while (poll(descriptors, std::size(descriptors), -1) < 0 && errno == EINTR) {
  }
  if (descriptors[0].revents != 0) {
    return false;
  }
  if (descriptors[2].revents != 0) {
    socket_.Shutdown();  // makes the next receive say that it is over
  }
  return true;
}

void Control::Start(uint32_t op, uint32_t id, const std::string& model) {
  JoinDone();
  // Here, where commands are in order.
  if (op == kLoad) {
    models_.BeginLoading(model);
  } else if (op == kBeginEnd) {
    BeginEnd();
  }
  const std::unique_lock lock(mutex_);
  Command& command = commands_.emplace_back();
  const auto execute = [this, &command, op, id, name = model] {
    try {
      Reply(id, kDone, Run(op, name));
    } catch (const Failure& failure) {
      Reply(id, static_cast<int32_t>(failure.code()), failure.what());
    } catch (const std::exception& error) {
      Reply(id, static_cast<int32_t>(Code::kInternal), error.what());
    }
    if (op == kLoad) {
      models_.EndLoading(name);
    }
    const std::unique_lock finish(mutex_);
    command.done = true;
  };
  try {
    command.thread = std::thread(execute);
  } catch (const std::system_error& error) {
    commands_.pop_back();
    if (op == kLoad) {
      models_.EndLoading(model);
    }
    Reply(id, static_cast<int32_t>(Code::kUnavailable),
          std::string("no thread for the command: ") + error.what());
  }
}

std::string Control::Run(uint32_t op, const std::string& name) {
  switch (op) {
    case kLoad:
      Check(TRITONSERVER_ServerLoadModel(server_, name.c_str()));
      return {};
    case kUnload:
      models_.GiveUpLoading(name);
      Check(TRITONSERVER_ServerUnloadModel(server_, name.c_str()));
      models_.WaitUntilGone(name);
      return {};
    case kBeginUnload:
      models_.GiveUpLoading(name);
      Check(TRITONSERVER_ServerUnloadModel(server_, name.c_str()));
      return {};
    case kAwaitRelease:
      return std::to_string(models_.WaitUntilReleased(name));
    case kCutOff:
      models_.Stop(name);
      return {};
    case kGiveUp:
      models_.GiveUpLoading(name);
      return {};
    case kBeginEnd:  // done where it came
      return {};
    case kCounters:
      return models_.Counters();
    default:
      throw Failure(Code::kUnsupported, "unknown command " + std::to_string(op));
  }
}

void Control::Reply(uint32_t id, int32_t code, const std::string& text) const {
  const size_t length = std::min(text.size(), kMaxText);
  std::vector<std::byte> packet(sizeof(id) + sizeof(code) + length);
  std::memcpy(packet.data(), &id, sizeof(id));
  std::memcpy(packet.data() + sizeof(id), &code, sizeof(code));
  std::memcpy(packet.data() + sizeof(id) + sizeof(code), text.data(), length);
  socket_.Send(packet);
}

void Control::JoinDone() {
  std::list<Command> done;
  {
    const std::unique_lock lock(mutex_);
    for (auto command = commands_.begin(); command != commands_.end();) {
      const auto next = std::next(command);
      if (command->done) {
        done.splice(done.end(), commands_, command);
      }
      command = next;
    }
  }
  for (Command& command : done) {
    command.thread.join();
  }
}

void Control::EndServer() {
  Log(TRITONSERVER_LOG_WARN, "the application has ended; ending the server");
  BeginEnd();
  // Nobody will execute what is outstanding. In threads, because a model that is loading keeps others from
  // unloading.
  for (const std::string& name : models_.StopAll()) {
    Start(kUnload, 0, name);
  }
  models_.WaitUntilEmpty(kAnswerTimeout);
  // Before the signal: a server that finds models in use exits without waiting for anybody.
  RemoveWorkspace();
  pollfd stopped{stop_event_.get(), POLLIN, 0};
  poll(&stopped, 1, kSendMs);
  kill(getpid(), SIGTERM);
  poll(&stopped, 1, kEndTimeoutMs);
  // Backends go last. Then there is only the metrics thread to wait for, which sleeps for as long as it was
  // told to.
  _exit(EXIT_FAILURE);
}

}  // namespace pytriton
