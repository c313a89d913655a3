// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/error.h"
#include "pytriton/triton_abi.h"

namespace pytriton {

using Labels = std::vector<std::pair<std::string, std::string>>;

// Metrics of one name at Triton's metrics endpoint. There must be one object of a name in the process: Triton
// counts the users of a metric by family. Once made, a name stays at the endpoint until the server ends.
class MetricFamily {
 public:
  // Buckets: upper bounds, ascending, of a histogram. Throws Failure, on a server without metrics for one.
  MetricFamily(TRITONSERVER_MetricKind kind, const std::string& name, const std::string& help,
               std::span<const double> buckets = {});

  TRITONSERVER_MetricFamily* get() const { return handle_.get(); }
  TRITONSERVER_MetricKind kind() const { return kind_; }
  const std::vector<double>& buckets() const { return buckets_; }

 private:
  struct Delete {
    void operator()(TRITONSERVER_MetricFamily* handle) const {
      Ignore(TRITONSERVER_MetricFamilyDelete(handle));
    }
  };

  TRITONSERVER_MetricKind kind_;
  std::vector<double> buckets_;
  std::unique_ptr<TRITONSERVER_MetricFamily, Delete> handle_;
};

// One of a family, which it must not outlive, told apart by its labels. Objects with equal labels share what
// they count; the last one takes it from the endpoint.
class Metric {
 public:
  Metric() = default;  // counts nothing
  Metric(const MetricFamily& family, const Labels& labels);
  explicit operator bool() const { return handle_ != nullptr; }

  void Increment(double change) noexcept {
    if (handle_ != nullptr) {
      Ignore(TRITONSERVER_MetricIncrement(handle_.get(), change));
    }
  }
  void Set(double value) noexcept {
    if (handle_ != nullptr) {
      Ignore(TRITONSERVER_MetricSet(handle_.get(), value));
    }
  }
  void Observe(double value) noexcept {
    if (handle_ != nullptr) {
      Ignore(TRITONSERVER_MetricObserve(handle_.get(), value));
    }
  }

 private:
  struct Delete {
    void operator()(TRITONSERVER_Metric* handle) const { Ignore(TRITONSERVER_MetricDelete(handle)); }
  };

  std::unique_ptr<TRITONSERVER_Metric, Delete> handle_;
};

}  // namespace pytriton
