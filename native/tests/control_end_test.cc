// SPDX-License-Identifier: Apache-2.0
//
// The server ends with its app, however that ends, and leaves nothing behind.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "children.h"
#include "core/socket.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Child;
using testing::TemporaryDirectory;

// What the app is promised. A sanitizer gets more: that of threads sleeps for a second when a process ends.
constexpr int kEndMs = PYTRITON_SANITIZED ? 5000 : 2000;

std::pair<Socket, Socket> Pair() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  return {Socket(UniqueFd(ends[0])), Socket(UniqueFd(ends[1]))};
}

void AwaitAttached(const Socket& app) {
  app.SetReceiveTimeout(static_cast<int>(std::chrono::milliseconds(testing::kLong).count()));
  std::byte packet[64];
  size_t size = 0;
  REQUIRE(app.Receive(packet, size) == Socket::Received::kPacket);
}

}  // namespace

TEST_CASE("the end of the app's socket ends the server, and removes what the app cannot remove any more") {
  const TemporaryDirectory directory;
  testing::WriteFile(directory / "kept", "x");
  for (const bool in_order : {true, false}) {
    std::filesystem::create_directories(directory / "ws/model-store/m/1");
    testing::WriteFile(directory / "ws/model-store/m/1/binding", "x");
    std::filesystem::create_directories(directory / "sockets with a space");
    auto [app_end, server_end] = Pair();
    Child child(in_order ? "server" : "server-stuck", {server_end.get()},
                {{"PYTRITON_CONTROL_FD", std::to_string(server_end.get())},
                 {"PYTRITON_APP_PID", std::to_string(getpid())},
                 {"PYTRITON_WORKSPACE", (directory / "ws") + "\n" + (directory / "sockets with a space")}});
    server_end = Socket();
    AwaitAttached(app_end);
    CHECK_FALSE(child.Wait(20));
    app_end = Socket();
    const auto status = child.Wait(kEndMs);
    REQUIRE(status);
    CHECK(WIFEXITED(*status));
    CHECK_FALSE(std::filesystem::exists(directory / "ws"));
    CHECK_FALSE(std::filesystem::exists(directory / "sockets with a space"));
    CHECK(std::filesystem::exists(directory / "kept"));
  }
}

TEST_CASE("a workspace that is not the server's stays") {
  const TemporaryDirectory directory;
  auto [app, server] = Pair();
  Child child("server", {server.get()}, {{"PYTRITON_CONTROL_FD", std::to_string(server.get())}});
  server = Socket();
  AwaitAttached(app);
  app = Socket();
  REQUIRE(child.Wait(kEndMs));
  CHECK(std::filesystem::exists(directory.path()));
}

TEST_CASE("the end of the app ends the server even while another process keeps the app's socket open") {
  // The server and the keeper are orphans then, and become children of this process.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const TemporaryDirectory directory;
  int report[2];
  int lifeline[2];
  REQUIRE(pipe2(report, O_CLOEXEC) == 0);
  REQUIRE(pipe2(lifeline, O_CLOEXEC) == 0);
  const UniqueFd report_end(report[0]);
  UniqueFd app_report(report[1]);
  const UniqueFd lifeline_end(lifeline[0]);
  UniqueFd held(lifeline[1]);
  Child app("app", {report[1], lifeline[0]},
            {{"TEST_REPORT_FD", std::to_string(report[1])},
             {"TEST_LIFELINE_FD", std::to_string(lifeline[0])},
             {"PYTRITON_WORKSPACE", directory.path()}});
  app_report = UniqueFd();
  pid_t pids[2] = {};
  REQUIRE(read(report_end.get(), pids, sizeof(pids)) == sizeof(pids));
  REQUIRE(app.Wait(20'000) == 0);

  const UniqueFd server(static_cast<int>(syscall(SYS_pidfd_open, pids[0], 0)));
  pollfd ended{server.get(), POLLIN, 0};
  CHECK(poll(&ended, 1, kEndMs) == 1);
  CHECK_FALSE(std::filesystem::exists(directory.path()));
  CHECK(kill(pids[1], 0) == 0);  // the keeper is still there

  held = UniqueFd();
  kill(pids[0], SIGKILL);
  waitpid(pids[0], nullptr, 0);
  waitpid(pids[1], nullptr, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace pytriton
