// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the server, in front of the C library's signal(). Whoever stops a service, as systemd does,
// tells all of its processes at once, but the app lets the server answer what it has before it ends it. So of
// the signals that end it the server hears only those of the app, and its own. SIGHUP would end an app that
// does not expect it, after which the server removes what is left.
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>

#include "preload/hook.h"

namespace {

using Handler = void (*)(int number);
using Signal = Handler (*)(int number, Handler handler);

constinit pytriton::Real<Signal> real_signal("signal");
constinit std::atomic<pid_t> app{0};
constinit std::array<std::atomic<Handler>, SIGTERM + 1> handlers{};

void OnSignal(int number, siginfo_t* info, void* /*context*/) {
  if (info->si_pid == app || info->si_pid == getpid()) {
    handlers[static_cast<size_t>(number)].load()(number);
  }
}

__attribute__((constructor)) void IgnoreHangup() {
  if (std::getenv("PYTRITON_APP_PID") != nullptr) {
    real_signal(SIGHUP, SIG_IGN);
  }
}

}  // namespace

PYTRITON_EXPORT Handler signal(int number, Handler handler) {
  const char* const pid = std::getenv("PYTRITON_APP_PID");
  const bool ends = number == SIGINT || number == SIGTERM;
  if (pid == nullptr || !ends || handler == SIG_DFL || handler == SIG_IGN) {
    return real_signal(number, handler);
  }
  app = std::atoi(pid);
  const Handler previous = handlers[static_cast<size_t>(number)].exchange(handler);
  struct sigaction action{};
  struct sigaction before{};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  if (sigaction(number, &action, &before) != 0) {
    return SIG_ERR;
  }
  return previous != nullptr ? previous : before.sa_handler;
}
