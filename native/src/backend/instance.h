// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "backend/batch.h"
#include "backend/model.h"
#include "core/session.h"

namespace pytriton {

// What Triton schedules batches on. It passes each to a worker and comes back when some worker could take
// another one, so that requests wait in Triton's queue, where they grow into batches, and not here.
class Instance {
 public:
  Instance(Model& model, TRITONBACKEND_ModelInstance* handle) : model_(model), handle_(handle) {}

  // Takes over the requests, all of which will be answered.
  void Execute(std::span<TRITONBACKEND_Request* const> requests) noexcept;

 private:
  void Submit(std::unique_ptr<Task>& task, Batch& batch);

  Model& model_;
  TRITONBACKEND_ModelInstance* handle_;
  Claim claim_;  // on the worker that the next batch will go to
};

}  // namespace pytriton
