// SPDX-License-Identifier: Apache-2.0
//
// The functions that Triton calls, in the order in which it calls them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <future>
#include <memory>
#include <string>

#include "core/socket.h"
#include "fake_triton.h"
#include "fake_worker.h"
#include "serving.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::FakeWorker;
using testing::kLong;
using testing::Pack;
using testing::Requests;
using testing::Serving;
using testing::TheHost;

// A backend in a server with a model repository of its own.
class Loaded {
 public:
  Loaded() { REQUIRE(TRITONBACKEND_Initialize(&backend) == nullptr); }
  ~Loaded() { CHECK(TRITONBACKEND_Finalize(&backend) == nullptr); }

  std::unique_ptr<TRITONBACKEND_Model> MakeModel(const std::string& name, const std::string& binding) {
    const std::string place = directory / name;
    std::filesystem::create_directories(place + "/1");
    testing::WriteFile(place + "/1/binding", binding);
    auto model = std::make_unique<TRITONBACKEND_Model>();
    *model = {name, 1, place, &server, &backend, nullptr};
    return model;
  }
  std::string BindingText(int workers = 1) const {
    return "pytriton-binding 1\nkind model\nsocket " + socket() + "\nworkers " + std::to_string(workers) +
           "\nattach-timeout-ms 20000\nmemory-limit 1048576\nbatching 1\ninput INT32 1 X\noutput INT32 1 Y\n";
  }
  std::string socket() const { return directory / "s"; }

  TRITONSERVER_Server server;
  TRITONBACKEND_Backend backend;
  testing::TemporaryDirectory directory;
};

std::string TakeMessage(TRITONSERVER_Error* error) {
  REQUIRE(error != nullptr);
  const std::string message = TRITONSERVER_ErrorMessage(error);
  TRITONSERVER_ErrorDelete(error);
  return message;
}

}  // namespace

TEST_CASE("a server whose API is too old, or of another kind, is refused") {
  TRITONBACKEND_Backend backend;
  const std::pair<uint32_t, uint32_t> unfit[] = {{1, 18}, {1, 0}, {0, 30}, {2, 0}};
  for (const auto& [major, minor] : unfit) {
    TheHost().api_major = major;
    TheHost().api_minor = minor;
    const std::string message = TakeMessage(TRITONBACKEND_Initialize(&backend));
    CHECK(Contains(message, "backend API " + std::to_string(major) + "." + std::to_string(minor)));
    CHECK(Contains(message, "pytriton needs 1.19"));
  }
  TheHost().api_major = 1;
  TheHost().api_minor = 20;
  CHECK(TRITONBACKEND_Initialize(&backend) == nullptr);
  CHECK(TRITONBACKEND_Finalize(&backend) == nullptr);
  TheHost().api_minor = 19;
}

TEST_CASE("a model is loaded, serves and is unloaded") {
  Loaded loaded;
  const auto model = loaded.MakeModel("m", loaded.BindingText());
  auto loading = std::async(std::launch::async, [&] { return TRITONBACKEND_ModelInitialize(model.get()); });
  const FakeWorker worker = FakeWorker::AttachedSoon(loaded.socket());
  REQUIRE(loading.get() == nullptr);
  TRITONBACKEND_ModelInstance instance;
  instance.model = model.get();
  REQUIRE(TRITONBACKEND_ModelInstanceInitialize(&instance) == nullptr);

  Requests requests = Requests().Add({1, 2});
  auto executing = std::async(std::launch::async, [&] {
    return TRITONBACKEND_ModelInstanceExecute(&instance, requests.handles.data(),
                                              static_cast<uint32_t>(requests.handles.size()));
  });
  const Message execute = worker.Receive(Kind::kExecute);
  worker.Answer(execute, Serving::Echo(worker, execute));
  REQUIRE(requests.Answered());
  CHECK(requests.outcomes[0]->outputs.at("Y").data == Pack<int32_t>({1, 2}));
  CHECK(executing.get() == nullptr);
  CHECK(instance.Batches().size() == 1);

  CHECK(TRITONBACKEND_ModelInstanceFinalize(&instance) == nullptr);
  CHECK(TRITONBACKEND_ModelFinalize(model.get()) == nullptr);
  CHECK(worker.SeesEnd());
  CHECK_FALSE(std::filesystem::exists(loaded.socket()));
}

TEST_CASE("a model that cannot be loaded says why, and is finalized nonetheless, as Triton does") {
  Loaded loaded;
  std::string expected;
  std::unique_ptr<TRITONBACKEND_Model> model;
  SUBCASE("for its binding") {
    model = loaded.MakeModel("m", "something else\n");
    expected = "not a binding of this pytriton";
  }
  SUBCASE("for its socket") {
    std::string text = loaded.BindingText();
    model = loaded.MakeModel("m", text.replace(text.find("/s\n"), 2, "/no/such/place"));
    expected = "listening on \"";
  }
  SUBCASE("for its workers") {
    model = loaded.MakeModel("m", loaded.BindingText() + "attach-timeout-ms 10\n");
    expected = "0 of 1 workers attached within 10 ms";
  }
  CHECK(Contains(TakeMessage(TRITONBACKEND_ModelInitialize(model.get())), expected));
  CHECK(TRITONBACKEND_ModelFinalize(model.get()) == nullptr);
}

TEST_CASE("a second load of what is loaded shares its workers with the first") {
  Loaded loaded;
  const auto model = loaded.MakeModel("m", loaded.BindingText(0));
  const auto again = loaded.MakeModel("m", loaded.BindingText(0));
  REQUIRE(TRITONBACKEND_ModelInitialize(model.get()) == nullptr);
  const FakeWorker worker = FakeWorker::Attached(loaded.socket());
  REQUIRE(TRITONBACKEND_ModelInitialize(again.get()) == nullptr);
  CHECK(TRITONBACKEND_ModelFinalize(model.get()) == nullptr);
  CHECK_NOTHROW(FakeWorker::Attached(loaded.socket()));

  TRITONBACKEND_ModelInstance instance;
  instance.model = again.get();
  REQUIRE(TRITONBACKEND_ModelInstanceInitialize(&instance) == nullptr);
  CHECK(TRITONBACKEND_ModelInstanceFinalize(&instance) == nullptr);
  CHECK(TRITONBACKEND_ModelFinalize(again.get()) == nullptr);
  CHECK(worker.SeesEnd());
  CHECK_FALSE(std::filesystem::exists(loaded.socket()));
}

TEST_CASE("a path that somebody else listens on is refused") {
  Loaded loaded;
  const Socket other = Socket::Listen(loaded.socket());
  const auto model = loaded.MakeModel("m", loaded.BindingText(0));
  CHECK(Contains(TakeMessage(TRITONBACKEND_ModelInitialize(model.get())), "in use"));
  CHECK(TRITONBACKEND_ModelFinalize(model.get()) == nullptr);
}

TEST_CASE("a placeholder is there, and takes no requests") {
  Loaded loaded;
  const auto model = loaded.MakeModel("m", "pytriton-binding 1\nkind placeholder\n");
  REQUIRE(TRITONBACKEND_ModelInitialize(model.get()) == nullptr);
  TRITONBACKEND_ModelInstance instance;
  instance.model = model.get();
  REQUIRE(TRITONBACKEND_ModelInstanceInitialize(&instance) == nullptr);
  Requests requests = Requests().Add({1, 2});
  CHECK(Contains(TakeMessage(TRITONBACKEND_ModelInstanceExecute(&instance, requests.handles.data(), 1)),
                 "takes no requests"));
  delete requests.handles[0];  // still Triton's
  CHECK(TRITONBACKEND_ModelInstanceFinalize(&instance) == nullptr);
  CHECK(TRITONBACKEND_ModelFinalize(model.get()) == nullptr);
}

TEST_CASE("a load can be refused, except that of a placeholder") {
  Loaded loaded;
  const auto model = loaded.MakeModel("m", loaded.BindingText(0));
  const auto placeholder = loaded.MakeModel("p", "pytriton-binding 1\nkind placeholder\n");
  for (const auto* const made : {model.get(), placeholder.get()}) {
    testing::WriteFile(made->directory + "/refused", "");
  }
  CHECK(Contains(TakeMessage(TRITONBACKEND_ModelInitialize(model.get())), "is taken back"));
  CHECK(TRITONBACKEND_ModelFinalize(model.get()) == nullptr);
  CHECK(TRITONBACKEND_ModelInitialize(placeholder.get()) == nullptr);
  CHECK(TRITONBACKEND_ModelFinalize(placeholder.get()) == nullptr);
}

TEST_CASE("the bootstrap model starts the control channel and takes no requests") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  const Socket app{UniqueFd(ends[0])};
  app.SetReceiveTimeout(static_cast<int>(std::chrono::milliseconds(kLong).count()));
  Loaded loaded;
  const auto model = loaded.MakeModel("pytriton_bootstrap", "pytriton-binding 1\nkind bootstrap\n");
  SUBCASE("without a control channel") {
    CHECK(
        Contains(TakeMessage(TRITONBACKEND_ModelInitialize(model.get())), "PYTRITON_CONTROL_FD is not set"));
    close(ends[1]);
  }
  SUBCASE("with one") {
    setenv("PYTRITON_CONTROL_FD", std::to_string(ends[1]).c_str(), 1);
    REQUIRE(TRITONBACKEND_ModelInitialize(model.get()) == nullptr);
    unsetenv("PYTRITON_CONTROL_FD");
    std::byte packet[64];
    size_t size = 0;
    CHECK(app.Receive(packet, size) == Socket::Received::kPacket);
    CHECK((fcntl(ends[1], F_GETFD) & FD_CLOEXEC) != 0);

    TRITONBACKEND_ModelInstance instance;
    instance.model = model.get();
    REQUIRE(TRITONBACKEND_ModelInstanceInitialize(&instance) == nullptr);
    Requests requests = Requests().Add({1, 2});
    CHECK(Contains(TakeMessage(TRITONBACKEND_ModelInstanceExecute(&instance, requests.handles.data(), 1)),
                   "takes no requests"));
    delete requests.handles[0];  // still Triton's
    CHECK(TRITONBACKEND_ModelInstanceFinalize(&instance) == nullptr);
  }
  CHECK(TRITONBACKEND_ModelFinalize(model.get()) == nullptr);
}

}  // namespace pytriton
