// SPDX-License-Identifier: Apache-2.0
#include "backend/control.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/model.h"
#include "fake_triton.h"
#include "shortage.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::kLong;
using testing::TemporaryDirectory;

struct Answer {
  uint32_t id = 0;
  int32_t code = 0;
  std::string text;
};

// The app's end of the control channel of a server in this process.
class Remote {
 public:
  explicit Remote(TRITONSERVER_Server& server) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    socket_ = Socket(UniqueFd(ends[0]));
    socket_.SetReceiveTimeout(static_cast<int>(std::chrono::milliseconds(kLong).count()));
    control_ = std::make_unique<Control>(Socket(UniqueFd(ends[1])), &server, models);
    const Answer attached = Receive();
    CHECK(attached.id == 0);
    CHECK(attached.code == 0);
    CHECK(attached.text == "1.19");
  }

  void Send(uint32_t op, uint32_t id, const std::string& model) const {
    std::vector<std::byte> packet(8 + model.size());
    std::memcpy(packet.data(), &op, 4);
    std::memcpy(packet.data() + 4, &id, 4);
    std::memcpy(packet.data() + 8, model.data(), model.size());
    SendRaw(packet);
  }
  void SendRaw(std::span<const std::byte> packet) const { REQUIRE(socket_.Send(packet)); }

  Answer Receive() const {
    std::vector<std::byte> packet(64 * 1024);
    size_t size = 0;
    REQUIRE(socket_.Receive(packet, size) == Socket::Received::kPacket);
    REQUIRE(size >= 8);
    Answer answer;
    std::memcpy(&answer.id, packet.data(), 4);
    std::memcpy(&answer.code, packet.data() + 4, 4);
    answer.text.assign(reinterpret_cast<const char*>(packet.data()) + 8, size - 8);
    return answer;
  }

  Answer Ask(uint32_t op, const std::string& model) const {
    Send(op, 99, model);
    const Answer answer = Receive();
    CHECK(answer.id == 99);
    return answer;
  }

  void DestroyControl() { control_.reset(); }

  ModelRegistry models;

 private:
  Socket socket_;
  std::unique_ptr<Control> control_;
};

// A gate that a server's action waits at.
class Gate {
 public:
  void Open() {
    const std::unique_lock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLong, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

}  // namespace

TEST_CASE("models are loaded, and why they are not is told") {
  TRITONSERVER_Server server;
  server.load = [](const std::string& model) -> TRITONSERVER_Error* {
    return model == "gööd" ? nullptr
                           : TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_NOT_FOUND, ("no " + model).c_str());
  };
  const Remote remote(server);
  const Answer good = remote.Ask(1, "gööd");
  CHECK(good.code == -1);
  CHECK(good.text.empty());
  const Answer bad = remote.Ask(1, "bad");
  CHECK(bad.code == TRITONSERVER_ERROR_NOT_FOUND);
  CHECK(bad.text == "no bad");
}

TEST_CASE("an unload is answered when the model is gone, and not when Triton has taken it") {
  TRITONSERVER_Server server;
  server.unload = [](const std::string& model) -> TRITONSERVER_Error* {
    return model == "bad" ? TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_UNAVAILABLE, "no") : nullptr;
  };
  Remote remote(server);
  const int key = 0;
  remote.models.Add(&key, "m");
  remote.Send(2, 1, "m");
  CHECK(remote.Ask(2, "other").code == -1);  // the first answer is this one
  CHECK(remote.Ask(2, "bad").code == TRITONSERVER_ERROR_UNAVAILABLE);
  remote.models.Remove(&key);
  const Answer gone = remote.Receive();
  CHECK(gone.id == 1);
  CHECK(gone.code == -1);
}

TEST_CASE("the release of one version is waited for, whatever else there is of its model") {
  TRITONSERVER_Server server;
  Remote remote(server);
  const TemporaryDirectory directory;
  Binding binding;
  binding.memory_limit = 4096;
  binding.workers = 0;
  binding.socket_path = directory / "1";
  const auto old_one = std::make_shared<Model>("m", 1, binding);
  binding.socket_path = directory / "2";
  const auto new_one = std::make_shared<Model>("m", 1, binding);
  for (const auto& model : {old_one, new_one}) {
    remote.models.Add(model.get(), "m");
    remote.models.Set(model.get(), model);
  }
  remote.Send(4, 1, directory / "1");
  CHECK(remote.Ask(4, directory / "3").code == -1);  // the first answer is this one
  CHECK(remote.models.Take(old_one.get()) == old_one);
  CHECK(remote.Ask(3, "").code == -1);
  remote.models.Remove(old_one.get());
  const Answer released = remote.Receive();
  CHECK(released.id == 1);
  CHECK(released.code == -1);
}

TEST_CASE("an unload that is begun waits for no request; what is cut off is counted") {
  TRITONSERVER_Server server;
  const TemporaryDirectory directory;
  std::atomic<int> unloaded = 0;
  server.unload = [&](const std::string&) -> TRITONSERVER_Error* {
    ++unloaded;
    return nullptr;
  };
  Remote remote(server);
  Binding binding;
  binding.socket_path = directory / "1";
  binding.memory_limit = 1 << 20;
  auto model = std::make_shared<Model>("m", 1, binding);
  const void* const key = model.get();
  remote.models.Add(key, "m");
  remote.models.Set(key, model);
  model->CountFailed(5);  // before anybody waits
  CHECK(remote.Ask(6, "m").code == -1);
  CHECK(unloaded == 1);
  remote.Send(4, 1, directory / "1");
  CHECK(remote.Ask(3, "").code == -1);
  CHECK(remote.Ask(7, directory / "nowhere").code == -1);
  CHECK(remote.Ask(7, directory / "1").code == -1);
  Claim claim;
  CHECK_THROWS_AS(model->session().Acquire(claim), Failure);
  remote.models.Take(key).reset();
  model.reset();
  remote.models.Remove(key);
  const Answer released = remote.Receive();
  CHECK(released.id == 1);
  CHECK(released.text == "0");
}

TEST_CASE("a load is given up, and its model stays") {
  TRITONSERVER_Server server;
  std::atomic<bool> unloaded = false;
  server.unload = [&](const std::string&) -> TRITONSERVER_Error* {
    unloaded = true;
    return nullptr;
  };
  Gate gate;
  server.load = [&](const std::string&) -> TRITONSERVER_Error* {
    gate.Pass();
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_UNAVAILABLE, "no workers");
  };
  const Remote remote(server);
  CHECK(remote.Ask(5, "m").code == -1);  // nothing is loaded
  remote.Send(1, 1, "m");
  remote.Send(5, 2, "m");
  CHECK(remote.Ask(3, "").code == -1);
  gate.Open();
  CHECK(remote.Receive().id == 1);
  CHECK(remote.Receive().id == 2);
  CHECK_FALSE(unloaded);
}

TEST_CASE("commands run side by side") {
  TRITONSERVER_Server server;
  Gate gate;
  server.load = [&](const std::string& model) -> TRITONSERVER_Error* {
    if (model == "slow") {
      gate.Pass();
    }
    return nullptr;
  };
  const Remote remote(server);
  remote.Send(1, 1, "slow");
  for (uint32_t id = 2; id < 20; ++id) {
    remote.Send(1, id, "quick");
    CHECK(remote.Receive().id == id);
  }
  gate.Open();
  CHECK(remote.Receive().id == 1);
}

TEST_CASE("counters are a line for each version") {
  TRITONSERVER_Server server;
  Remote remote(server);
  CHECK(remote.Ask(3, "").text.empty());
  const TemporaryDirectory directory;
  Binding binding;
  binding.memory_limit = 4096;
  binding.workers = 0;
  binding.socket_path = directory / "1";
  const auto one = std::make_shared<Model>("m", 1, binding);
  binding.socket_path = directory / "2";
  const auto two = std::make_shared<Model>("m", 2, binding);
  const int keys[2] = {};
  remote.models.Add(&keys[0], "m");
  remote.models.Add(&keys[1], "m");
  remote.models.Set(&keys[0], one);
  remote.models.Set(&keys[1], two);
  one->CountBatch(3, 100);
  const std::string text = remote.Ask(3, "").text;
  CHECK(Contains(text, "m 1 batches=1 requests=3 bytes_in=100 bytes_out=0 failed=0\n"));
  CHECK(Contains(text, "m 2 batches=0 requests=0 bytes_in=0 bytes_out=0 failed=0\n"));
}

TEST_CASE("commands that do not exist, and packets that are none") {
  TRITONSERVER_Server server;
  server.load = [](const std::string& model) {
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INVALID_ARG, std::string(100'000, model[0]).c_str());
  };
  const Remote remote(server);
  CHECK(remote.Ask(8, "").code == -1);  // that it is ending: nothing is preloaded here that would tell
  for (const uint32_t op : {0u, 100u, 0xffffffffu}) {
    const Answer answer = remote.Ask(op, "m");
    CHECK(answer.code == TRITONSERVER_ERROR_UNSUPPORTED);
    CHECK(answer.text == "unknown command " + std::to_string(op));
  }
  const std::vector<std::byte> bytes(8192);
  remote.SendRaw({bytes.data(), 1});
  remote.SendRaw({bytes.data(), 7});
  remote.SendRaw(bytes);
  const Answer long_text = remote.Ask(1, "x");
  CHECK(long_text.code == TRITONSERVER_ERROR_INVALID_ARG);
  CHECK(long_text.text.size() == 32 * 1024);
}

TEST_CASE("a control channel that ends does not wait for a model that does not go") {
  TRITONSERVER_Server server;
  Remote remote(server);
  const int key = 0;
  remote.models.Add(&key, "stuck");
  remote.Send(2, 1, "stuck");
  remote.Ask(3, "");
  remote.DestroyControl();
}

TEST_CASE("a command that finds no thread to run in is answered") {
  TRITONSERVER_Server server;
  const Remote remote(server);
  remote.Ask(3, "");
  {
    const testing::NoThreads shortage;
    CHECK(remote.Ask(1, "m").code == TRITONSERVER_ERROR_UNAVAILABLE);
  }
  CHECK(remote.Ask(1, "m").code == -1);
}

}  // namespace pytriton
