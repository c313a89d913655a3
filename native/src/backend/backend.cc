// SPDX-License-Identifier: Apache-2.0
//
// What Triton calls. Nothing but the passage between its handles and our objects, and between its errors and
// our exceptions.
#include <fcntl.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "backend/binding.h"
#include "backend/control.h"
#include "backend/error.h"
#include "backend/instance.h"
#include "backend/metrics_port.h"
#include "backend/model.h"
#include "backend/model_readiness.h"
#include "backend/model_registry.h"
#include "backend/request_gate.h"
#include "pytriton/triton_abi.h"

namespace pytriton {

namespace {

// A file of this name in the directory of a model makes loading it fail, without harm to what is served. The
// app has use for that when it takes back a version that it could not add (pytriton/server/repository.py).
constexpr const char* kRefusal = "/refused";

struct Backend {
  Backend() {
    TellReadiness(&models);
    LimitRequests();
  }
  ~Backend() { TellReadiness(nullptr); }

  const std::unique_ptr<const ModelMetricFamilies> families = ModelMetricFamilies::Make();
  MetricsPorts metrics_ports;
  ModelRegistry models;
  std::mutex mutex;
  std::unique_ptr<Control> control;  // guarded by mutex; last, because it uses the registry
};

Backend& BackendOf(TRITONBACKEND_Model* model) {
  TRITONBACKEND_Backend* handle = nullptr;
  void* state = nullptr;
  Check(TRITONBACKEND_ModelBackend(model, &handle));
  Check(TRITONBACKEND_BackendState(handle, &state));
  return *static_cast<Backend*>(state);
}

Model* ModelOf(TRITONBACKEND_Model* handle) {
  void* state = nullptr;
  Check(TRITONBACKEND_ModelState(handle, &state));
  return static_cast<Model*>(state);
}

Model* ModelOf(TRITONBACKEND_ModelInstance* instance) {
  TRITONBACKEND_Model* handle = nullptr;
  Check(TRITONBACKEND_ModelInstanceModel(instance, &handle));
  return ModelOf(handle);
}

Instance* InstanceOf(TRITONBACKEND_ModelInstance* handle) {
  void* state = nullptr;
  Check(TRITONBACKEND_ModelInstanceState(handle, &state));
  return static_cast<Instance*>(state);
}

void CheckApiVersion() {
  uint32_t major = 0;
  uint32_t minor = 0;
  Check(TRITONBACKEND_ApiVersion(&major, &minor));
  if (major != kRequiredApiMajor || minor < kRequiredApiMinor) {
    throw Failure(Code::kUnsupported, "this server has backend API " + std::to_string(major) + "." +
                                          std::to_string(minor) + ", pytriton needs " +
                                          std::to_string(kRequiredApiMajor) + "." +
                                          std::to_string(kRequiredApiMinor) + " or a later minor version");
  }
}

// The first model to load exists only for this: a backend learns of its server through a model.
void StartControl(Backend& backend, TRITONBACKEND_Model* model) {
  const char* descriptor = std::getenv("PYTRITON_CONTROL_FD");
  if (descriptor == nullptr) {
    throw Failure(Code::kInvalidArgument, "PYTRITON_CONTROL_FD is not set");
  }
  if (std::getenv("PYTRITON_HIDDEN_ARGUMENTS") != nullptr) {
    throw Failure(
        Code::kUnsupported,
        "libpytriton_preload.so was not preloaded into this server, so that it has no access token");
  }
  TRITONSERVER_Server* server = nullptr;
  Check(TRITONBACKEND_ModelServer(model, &server));
  const std::unique_lock lock(backend.mutex);
  if (backend.control == nullptr) {
    UniqueFd line(std::atoi(descriptor));
    // Processes that other backends start must not inherit it: they would hold it open when this one ends.
    fcntl(line.get(), F_SETFD, FD_CLOEXEC);
    backend.control = std::make_unique<Control>(Socket(std::move(line)), server, backend.models);
  }
}

void InitializeModel(TRITONBACKEND_Model* handle) {
  const char* name = nullptr;
  uint64_t version = 0;
  TRITONBACKEND_ArtifactType type = TRITONBACKEND_ARTIFACT_FILESYSTEM;
  const char* location = nullptr;
  Check(TRITONBACKEND_ModelName(handle, &name));
  Check(TRITONBACKEND_ModelVersion(handle, &version));
  Check(TRITONBACKEND_ModelRepository(handle, &type, &location));
  Backend& backend = BackendOf(handle);
  Binding binding = Binding::Read(std::string(location) + "/" + std::to_string(version) + "/binding");
  if (binding.bootstrap) {
    StartControl(backend, handle);
  }
  if (binding.bootstrap || binding.placeholder) {
    backend.models.Add(handle, name);
    return;
  }
  if (std::filesystem::exists(std::string(location) + kRefusal)) {
    throw Failure(Code::kUnavailable, "another version of the model is taken back");
  }
  // Triton may load anew what has not changed; the workers need not know of it.
  std::shared_ptr<Model> model = backend.models.Find(binding.socket_path);
  if (model == nullptr) {
    model = std::make_shared<Model>(name, version, std::move(binding), backend.families.get());
    if (backend.families != nullptr) {
      model->Keep(backend.metrics_ports.Open(model->binding().socket_path));
    }
  }
  Check(TRITONBACKEND_ModelSetState(handle, model.get()));
  backend.models.Add(handle, name);
  backend.models.Set(handle, model);
  model->WaitForWorkers();  // Triton finalizes a model that fails here
}

void FinalizeModel(TRITONBACKEND_Model* handle) {
  Backend& backend = BackendOf(handle);
  backend.models.Take(handle).reset();  // outside of the registry's lock
  backend.models.Remove(handle);
}

}  // namespace

}  // namespace pytriton

using namespace pytriton;

extern "C" {

TRITONSERVER_Error* TRITONBACKEND_Initialize(TRITONBACKEND_Backend* backend) {
  return Guard([&] {
    CheckApiVersion();
    Check(TRITONBACKEND_BackendSetState(backend, new Backend));
  });
}

TRITONSERVER_Error* TRITONBACKEND_Finalize(TRITONBACKEND_Backend* backend) {
  return Guard([&] {
    void* state = nullptr;
    Check(TRITONBACKEND_BackendState(backend, &state));
    delete static_cast<Backend*>(state);
  });
}

TRITONSERVER_Error* TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model* model) {
  return Guard([&] { InitializeModel(model); });
}

TRITONSERVER_Error* TRITONBACKEND_ModelFinalize(TRITONBACKEND_Model* model) {
  return Guard([&] { FinalizeModel(model); });
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance* handle) {
  return Guard([&] {
    if (Model* const model = ModelOf(handle)) {
      auto instance = std::make_unique<Instance>(*model, handle);
      Check(TRITONBACKEND_ModelInstanceSetState(handle, instance.get()));
      instance.release();
    }
  });
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance* handle) {
  return Guard([&] { delete InstanceOf(handle); });
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceExecute(TRITONBACKEND_ModelInstance* handle,
                                                       TRITONBACKEND_Request** requests,
                                                       uint32_t request_count) {
  return Guard([&] {
    Instance* const instance = InstanceOf(handle);
    if (instance == nullptr) {
      throw Failure(Code::kUnsupported, "this model takes no requests");
    }
    instance->Execute({requests, request_count});
  });
}

}  // extern "C"
