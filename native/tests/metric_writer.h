// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "fake_triton.h"
#include "pytriton/metric_layout.h"

namespace pytriton::testing {

// A packet of records, as a process writes them.
class MetricWriter {
 public:
  MetricWriter& Family(TRITONSERVER_MetricKind kind, const std::string& name,
                       const std::vector<std::string>& labels = {}, const std::vector<double>& buckets = {},
                       Across across = Across::kSum) {
    Put(MetricRecord::kFamily).Put(static_cast<uint8_t>(kind)).Put(across).Text(name).Text("what it is");
    Put(static_cast<uint8_t>(labels.size()));
    for (const std::string& label : labels) {
      Text(label);
    }
    Put(static_cast<uint8_t>(buckets.size()));
    for (const double bound : buckets) {
      Put(bound);
    }
    return *this;
  }
  MetricWriter& Series(uint32_t family, const std::vector<std::string>& values = {}) {
    Put(MetricRecord::kSeries).Put(family);
    for (const std::string& value : values) {
      Text(value);
    }
    return *this;
  }
  MetricWriter& Add(uint32_t series, double change) {
    return Put(MetricRecord::kAdd).Put(series).Put(change);
  }
  MetricWriter& Set(uint32_t series, double value) { return Put(MetricRecord::kSet).Put(series).Put(value); }
  MetricWriter& Observe(uint32_t series, double value, uint32_t times) {
    return Put(MetricRecord::kObserve).Put(series).Put(value).Put(times);
  }

  template <typename T>
  MetricWriter& Put(const T& value) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(value));
    return *this;
  }
  MetricWriter& Text(const std::string& text) {
    Put(static_cast<uint16_t>(text.size()));
    const auto* const bytes = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), bytes, bytes + text.size());
    return *this;
  }

  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace pytriton::testing
