// SPDX-License-Identifier: Apache-2.0
#include "backend/model.h"

#include <algorithm>
#include <utility>

#include "backend/error.h"

namespace pytriton {

namespace {

Session::Options SessionOptions(const std::string& name, const Binding& binding, Meter& meter,
                                std::shared_ptr<Budget> memory) {
  Session::Options options;
  options.socket_path = binding.socket_path;
  options.memory_limit = binding.memory_limit;
  options.log = [name](const std::string& text) {
    Log(TRITONSERVER_LOG_WARN, "model \"" + name + "\": " + text);
  };
  options.meter = &meter;
  options.budget = std::make_shared<Budget>(Limit::kModel, binding.model_memory_limit, std::move(memory));
  return options;
}

}  // namespace

Model::Model(std::string name, uint64_t version, Binding binding, const ModelMetricFamilies* families)
    : name_(std::move(name)),
      version_(version),
      binding_(std::move(binding)),
      metrics_(families, name_, version_),
      app_limits_(AppLimits::Of(binding_)),
      queue_care_(binding_.queue_policy),
      session_(SessionOptions(name_, binding_, metrics_, app_limits_->memory)) {}

void Model::WaitForWorkers() {
  try {
    session_.WaitForWorkers(binding_.workers, binding_.attach_timeout);
  } catch (const Failure& failure) {
    if (!binding_.resumed) {
      throw;
    }
    Log(TRITONSERVER_LOG_WARN, "model \"" + name_ + "\" is loaded again, but " + failure.what());
  }
}

uint64_t Model::ExpectedResultBytes(uint64_t rows) const {
  // An eighth more, because batches differ; what still does not fit is asked for by the worker.
  const uint64_t bytes = row_bytes_.load(std::memory_order_relaxed) * std::max<uint64_t>(rows, 1);
  return bytes + bytes / 8;
}

void Model::CountResult(uint64_t rows, uint64_t result_bytes, uint64_t bytes_out) {
  bytes_out_ += bytes_out;
  // Follows a rise at once and a fall slowly.
  const uint64_t now = result_bytes / std::max<uint64_t>(rows, 1) + 1;
  const uint64_t before = row_bytes_.load(std::memory_order_relaxed);
  row_bytes_.store(now >= before ? now : before - (before - now) / 16, std::memory_order_relaxed);
}

std::string Model::Counters() const {
  return name_ + " " + std::to_string(version_) + " batches=" + std::to_string(batches_) +
         " requests=" + std::to_string(requests_) + " bytes_in=" + std::to_string(bytes_in_) +
         " bytes_out=" + std::to_string(bytes_out_) + " failed=" + std::to_string(*failed_);
}

}  // namespace pytriton
