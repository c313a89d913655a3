// SPDX-License-Identifier: Apache-2.0
#include "children.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <utility>

#include "backend/control.h"
#include "backend/model_registry.h"
#include "core/socket.h"
#include "fake_triton.h"

extern char** environ;

namespace pytriton::testing {

namespace {

int NumberOf(const char* variable) {
  return std::atoi(getenv(variable));
}

// A server: the backend's control channel, and a SIGTERM that is noticed but does not end the process by
// itself. It ends in an orderly way when the part says so, otherwise never.
int PlayServer(bool ends_in_order) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, nullptr);
  TRITONSERVER_Server server;
  ModelRegistry models;
  const int key = 0;
  if (!ends_in_order) {
    // Somebody waits for a model that never goes.
    models.Add(&key, "stuck");
  }
  auto control =
      std::make_unique<Control>(Socket(UniqueFd(NumberOf("PYTRITON_CONTROL_FD"))), &server, models);
  int signal = 0;
  sigwait(&term, &signal);
  if (!ends_in_order) {
    pause();
  }
  control.reset();
  return 3;
}

// An app that starts a server and a process which holds its end of the control channel open, and ends without
// a word.
int PlayApp() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return 1;
  }
  const int report = NumberOf("TEST_REPORT_FD");
  const int lifeline = NumberOf("TEST_LIFELINE_FD");
  // Neither is ended by its owner: this process does not come to that.
  const auto* server = new Child(
      "server-stuck", {ends[0]},
      {{"PYTRITON_CONTROL_FD", std::to_string(ends[0])}, {"PYTRITON_APP_PID", std::to_string(getpid())}});
  const auto* keeper = new Child("keeper", {ends[1], lifeline}, {});
  const Socket control{UniqueFd(ends[1])};
  std::byte attached[64];
  size_t size = 0;
  control.Receive(attached, size);  // the server watches us from now on
  const pid_t pids[] = {server->pid(), keeper->pid()};
  if (write(report, pids, sizeof(pids)) != sizeof(pids)) {
    return 1;
  }
  _exit(0);
}

// Holds what it inherited until the test is over.
int PlayKeeper() {
  pollfd lifeline{NumberOf("TEST_LIFELINE_FD"), 0, 0};
  poll(&lifeline, 1, 60'000);
  return 0;
}

}  // namespace

std::optional<int> RunAsChild(int argc, char** argv) {
  const std::string part = argc == 2 ? argv[1] : "";
  if (part == "--part=server") {
    return PlayServer(true);
  }
  if (part == "--part=server-stuck") {
    return PlayServer(false);
  }
  if (part == "--part=app") {
    return PlayApp();
  }
  if (part == "--part=keeper") {
    return PlayKeeper();
  }
  return std::nullopt;
}

Child::Child(const std::string& part, const std::vector<int>& descriptors,
             const std::map<std::string, std::string>& environment) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!environment.contains(text.substr(0, text.find('=')))) {
      variables.push_back(text);
    }
  }
  for (const auto& [name, value] : environment) {
    variables.push_back(name + "=" + value);
  }
  std::vector<char*> pointers;
  for (std::string& variable : variables) {
    pointers.push_back(variable.data());
  }
  pointers.push_back(nullptr);

  std::string program = "/proc/self/exe";
  std::string argument = "--part=" + part;
  char* arguments[] = {program.data(), argument.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int descriptor : descriptors) {
    posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor);  // on itself: is inherited
  }
  const int failed = posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, pointers.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    throw std::runtime_error("a child cannot be started");
  }
}

Child::~Child() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

std::optional<int> Child::Wait(int milliseconds) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  if (poll(&ended, 1, milliseconds) != 1) {
    return std::nullopt;
  }
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  return status;
}

}  // namespace pytriton::testing
