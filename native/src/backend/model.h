// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backend/app_limits.h"
#include "backend/binding.h"
#include "backend/model_metrics.h"
#include "backend/queue_care.h"
#include "backend/watch.h"
#include "core/session.h"
#include "pytriton/triton_abi.h"

namespace pytriton {

// A loaded model version: what was bound, and the workers that run it.
class Model {
 public:
  Model(std::string name, uint64_t version, Binding binding, const ModelMetricFamilies* families = nullptr);

  // Returns when its workers have attached. Those of a model that was served before, by a server that has
  // died, may be in the middle of a call: they come later.
  void WaitForWorkers();

  const std::string& name() const { return name_; }
  uint64_t version() const { return version_; }
  const Binding& binding() const { return binding_; }
  Session& session() { return session_; }
  Watch& watch() { return watch_; }
  Budget& streams() { return *app_limits_->streams; }
  ModelMetrics& metrics() { return metrics_; }

  // Keeps something that belongs to all models of a directory for as long as there is one.
  void Keep(std::shared_ptr<void> shared) { kept_ = std::move(shared); }

  // Room to leave for the results of a batch: what batches needed of late, for each of its rows.
  uint64_t ExpectedResultBytes(uint64_t rows) const;

  void CountBatch(uint64_t requests, uint64_t bytes_in) {
    batches_ += 1;
    requests_ += requests;
    bytes_in_ += bytes_in;
  }
  void CountFailed(uint64_t requests) { *failed_ += requests; }
  // Requests that failed because of their worker or for lack of one; outlives the model.
  std::shared_ptr<const std::atomic<uint64_t>> failed() const { return failed_; }
  void CountResult(uint64_t rows, uint64_t result_bytes, uint64_t bytes_out);
  std::string Counters() const;

 private:
  const std::string name_;
  const uint64_t version_;
  const Binding binding_;
  std::shared_ptr<void> kept_;
  std::atomic<uint64_t> row_bytes_{0};
  std::atomic<uint64_t> batches_{0};
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> bytes_in_{0};
  std::atomic<uint64_t> bytes_out_{0};
  ModelMetrics metrics_;
  const std::shared_ptr<std::atomic<uint64_t>> failed_ = std::make_shared<std::atomic<uint64_t>>(0);
  const std::shared_ptr<AppLimits> app_limits_;
  const QueueCare queue_care_;
  Watch watch_;
  Session session_;  // last: its threads use all of the above
};

}  // namespace pytriton
