// SPDX-License-Identifier: Apache-2.0
#include "backend/model_metrics.h"

#include <algorithm>
#include <array>

namespace pytriton {

namespace {

constexpr auto kCounter = TRITONSERVER_METRIC_KIND_COUNTER;
constexpr auto kGauge = TRITONSERVER_METRIC_KIND_GAUGE;
constexpr auto kHistogram = TRITONSERVER_METRIC_KIND_HISTOGRAM;
constexpr std::array<double, 11> kRows = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
constexpr std::array<double, 18> kSeconds = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                             0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                             0.5,     1,      2.5,     5,      10,    60};

double Seconds(uint64_t from_ns, uint64_t to_ns) {
  return static_cast<double>(to_ns - std::min(from_ns, to_ns)) / 1e9;
}

}  // namespace

ModelMetricFamilies::ModelMetricFamilies()
    : batch_size(kHistogram, "pytriton_batch_size", "Rows of the batches that functions were called for",
                 kRows),
      dispatch(kHistogram, "pytriton_dispatch_seconds",
               "Time of a batch between Triton's queue and the begin of its function", kSeconds),
      function(kHistogram, "pytriton_function_seconds",
               "Time that the function took for a batch, up to its last response", kSeconds),
      in_flight(kGauge, "pytriton_batches_in_flight", "Batches that workers have"),
      in_flight_limit(kGauge, "pytriton_batches_in_flight_limit", "Batches that workers take at a time"),
      workers(kGauge, "pytriton_workers", "Workers that are connected"),
      busy(kGauge, "pytriton_workers_busy", "Workers that have a batch"),
      restarts(kCounter, "pytriton_worker_restarts_total",
               "Workers that have come in the place of one that was lost"),
      memory(kGauge, "pytriton_shared_memory_bytes", "Shared memory in use by batches and kept arrays"),
      memory_limit(kGauge, "pytriton_shared_memory_limit_bytes",
                   "Shared memory that all workers together may use"),
      memory_refusals(kCounter, "pytriton_shared_memory_refusals_total",
                      "Times that a batch or its results did not fit the shared memory that was left"),
      stream_memory(kGauge, "pytriton_stream_memory_bytes",
                    "Memory of responses that clients have not read yet, an estimate"),
      cancellations(kCounter, "pytriton_cancellations_total",
                    "Requests that were cancelled, or whose client went away, before their end") {}

std::unique_ptr<const ModelMetricFamilies> ModelMetricFamilies::Make() noexcept {
  std::unique_ptr<const ModelMetricFamilies> families;
  Ignore(Guard([&] { families = std::make_unique<const ModelMetricFamilies>(); }));
  return families;
}

ModelMetrics::ModelMetrics(const ModelMetricFamilies* families, const std::string& model, uint64_t version) {
  if (families == nullptr) {
    return;
  }
  const Labels labels = {{"model", model}, {"version", std::to_string(version)}};
  batch_size_ = Metric(families->batch_size, labels);
  dispatch_ = Metric(families->dispatch, labels);
  function_ = Metric(families->function, labels);
  in_flight_ = Metric(families->in_flight, labels);
  in_flight_limit_ = Metric(families->in_flight_limit, labels);
  workers_ = Metric(families->workers, labels);
  busy_ = Metric(families->busy, labels);
  restarts_ = Metric(families->restarts, labels);
  memory_ = Metric(families->memory, labels);
  memory_limit_ = Metric(families->memory_limit, labels);
  memory_refusals_ = Metric(families->memory_refusals, labels);
  stream_memory_ = Metric(families->stream_memory, labels);
  cancellations_ = Metric(families->cancellations, labels);
}

void ModelMetrics::CountBatch(uint64_t rows, uint64_t taken_ns, uint64_t begin_ns, uint64_t end_ns) noexcept {
  batch_size_.Observe(Number(rows));
  dispatch_.Observe(Seconds(taken_ns, begin_ns));
  function_.Observe(Seconds(begin_ns, end_ns));
}

void ModelMetrics::CountWorkers(int64_t change, int64_t capacity, int64_t memory_limit) noexcept {
  workers_.Increment(Number(change));
  in_flight_limit_.Increment(Number(capacity));
  memory_limit_.Increment(Number(memory_limit));
}

}  // namespace pytriton
