// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backend/binding.h"
#include "backend/instance.h"
#include "backend/model.h"
#include "fake_triton.h"
#include "fake_worker.h"
#include "support.h"

namespace pytriton::testing {

// A loaded model with one INT32 input X and one INT32 output Y of a row of any length, and instances of it.
class Serving {
 public:
  explicit Serving(uint64_t memory_limit = 1 << 20, bool batching = true, bool decoupled = false)
      : model_("m", 1, MakeBinding(directory_ / "s", memory_limit, batching, decoupled), &Families()) {}

  // Of all models of a process.
  static const ModelMetricFamilies& Families() {
    static const ModelMetricFamilies families;
    return families;
  }

  FakeWorker AttachWorker(uint32_t capacity = 1) {
    FakeWorker worker = FakeWorker::Attached(model_.binding().socket_path, capacity);
    model_.session().WaitForWorkers(++workers_, kLong);
    return worker;
  }
  // Ends a worker; returns when the model knows it.
  void Part(FakeWorker& worker) {
    worker.Disconnect();
    const uint32_t before = workers_--;
    const bool parted = Eventually([&] {
      try {
        model_.session().WaitForWorkers(before, std::chrono::milliseconds(0));
        return false;
      } catch (const Failure&) {
        return true;
      }
    });
    if (!parted) {
      throw std::runtime_error("a worker went and nobody noticed");
    }
  }

  Model& model() { return model_; }
  TRITONBACKEND_ModelInstance& handle() { return handle_; }

  // A request of as many rows of two numbers as there are pairs of values.
  static std::unique_ptr<TRITONBACKEND_Request> MakeRequest(std::initializer_list<int32_t> values) {
    auto request = std::make_unique<TRITONBACKEND_Request>();
    request->inputs = {{"X",
                        TRITONSERVER_TYPE_INT32,
                        {static_cast<int64_t>(values.size() / 2), 2},
                        {Pack<int32_t>(values)}}};
    request->outputs = {"Y"};
    return request;
  }

  // What a worker answers that returns its input, in place.
  static ResultWriter Echo(const FakeWorker& worker, const Message& execute) {
    BlockHeader header;
    std::memcpy(&header, worker.base() + execute.offset, sizeof(header));
    TensorRecord record;
    std::memcpy(&record, worker.base() + header.inputs_offset, sizeof(record));
    return ResultWriter().AddPlaced(record);
  }

 private:
  static Binding MakeBinding(const std::string& path, uint64_t memory_limit, bool batching, bool decoupled) {
    Binding binding;
    binding.socket_path = path;
    binding.memory_limit = memory_limit;
    binding.workers = 0;
    binding.batching = batching;
    binding.decoupled = decoupled;
    binding.inputs = {{"X", TRITONSERVER_TYPE_INT32, 1}};
    binding.outputs = {{"Y", TRITONSERVER_TYPE_INT32, 1}};
    return binding;
  }

  TemporaryDirectory directory_;
  TRITONBACKEND_ModelInstance handle_;
  Model model_;
  uint32_t workers_ = 0;
};

// Gives requests to an instance as Triton does, and keeps their outcomes.
class Requests {
 public:
  Requests& Add(std::unique_ptr<TRITONBACKEND_Request> request) {
    outcomes.push_back(request->outcome);
    handles.push_back(request.release());
    return *this;
  }
  Requests& Add(std::initializer_list<int32_t> values) { return Add(Serving::MakeRequest(values)); }

  // Whether each was answered once and given back once.
  bool Answered() const {
    for (const auto& outcome : outcomes) {
      if (!outcome->Released() || outcome->responses != 1 || outcome->releases != 1) {
        return false;
      }
    }
    return true;
  }

  std::vector<TRITONBACKEND_Request*> handles;
  std::vector<std::shared_ptr<Outcome>> outcomes;
};

}  // namespace pytriton::testing
