// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/metric.h"
#include "core/meter.h"

namespace pytriton {

// The names of what is counted of every model version. One object in the process.
struct ModelMetricFamilies {
  ModelMetricFamilies();  // throws Failure on a server without metrics

  // None on a server that was built without metrics, or that refuses for another reason; logged then.
  static std::unique_ptr<const ModelMetricFamilies> Make() noexcept;

  MetricFamily batch_size;
  MetricFamily dispatch;
  MetricFamily function;
  MetricFamily in_flight;
  MetricFamily in_flight_limit;
  MetricFamily workers;
  MetricFamily busy;
  MetricFamily restarts;
  MetricFamily memory;
  MetricFamily memory_limit;
  MetricFamily memory_refusals;
  MetricFamily stream_memory;
  MetricFamily cancellations;
};

// What is counted of one model version, shown at Triton's metrics endpoint as it changes. Two objects of the
// same version, of which one takes the place of the other, add up.
class ModelMetrics final : public Meter {
 public:
  // Counts nothing without families.
  ModelMetrics(const ModelMetricFamilies* families, const std::string& model, uint64_t version);

  // A batch that a function was called for; times in ns: when it left Triton's queue, and of the function.
  void CountBatch(uint64_t rows, uint64_t taken_ns, uint64_t begin_ns, uint64_t end_ns) noexcept;
  void CountCancellations(uint64_t requests) noexcept { cancellations_.Increment(Number(requests)); }
  void CountStreamMemory(int64_t change) noexcept { stream_memory_.Increment(Number(change)); }

  void CountWorkers(int64_t change, int64_t capacity, int64_t memory_limit) noexcept override;
  void CountRestart() noexcept override { restarts_.Increment(1); }
  void CountBusy(int64_t change) noexcept override { busy_.Increment(Number(change)); }
  void CountInFlight(int64_t change) noexcept override { in_flight_.Increment(Number(change)); }
  void CountMemory(int64_t change) noexcept override { memory_.Increment(Number(change)); }
  void CountMemoryRefusal() noexcept override { memory_refusals_.Increment(1); }

 private:
  template <typename Integer>
  static double Number(Integer value) {
    return static_cast<double>(value);
  }

  Metric batch_size_;
  Metric dispatch_;
  Metric function_;
  Metric in_flight_;
  Metric in_flight_limit_;
  Metric workers_;
  Metric busy_;
  Metric restarts_;
  Metric memory_;
  Metric memory_limit_;
  Metric memory_refusals_;
  Metric stream_memory_;
  Metric cancellations_;
};

}  // namespace pytriton
