// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "pytriton/metric_layout.h"
#include "pytriton/triton_abi.h"

namespace pytriton {

struct FamilyRecord {
  TRITONSERVER_MetricKind kind = TRITONSERVER_METRIC_KIND_COUNTER;
  Across across = Across::kSum;
  std::string name;
  std::string help;
  std::vector<std::string> labels;
  std::vector<double> buckets;
};

struct SeriesRecord {
  uint32_t family = 0;
  std::vector<std::string> values;
};

struct AddRecord {
  uint32_t series = 0;
  double change = 0;
};

struct SetRecord {
  uint32_t series = 0;
  double value = 0;
};

struct ObserveRecord {
  uint32_t series = 0;
  double value = 0;
  uint32_t times = 0;
};

using Record = std::variant<FamilyRecord, SeriesRecord, AddRecord, SetRecord, ObserveRecord>;

// Takes the records of a packet one by one. Each is sound in itself: names, texts, buckets and values are
// such as may stand at a metrics endpoint.
class MetricRecords {
 public:
  explicit MetricRecords(std::span<const std::byte> packet) : rest_(packet) {}

  bool empty() const { return rest_.empty(); }
  // `label_count` tells the number of labels of a family that was defined before; it throws ProtocolError for
  // any other. So does this, for whatever is unsound.
  template <typename LabelCount>
  Record Next(LabelCount&& label_count) {
    switch (static_cast<MetricRecord>(Read<uint8_t>())) {
      case MetricRecord::kFamily:
        return ReadFamily();
      case MetricRecord::kSeries: {
        const auto family = Read<uint32_t>();
        return ReadSeries(family, label_count(family));
      }
      case MetricRecord::kAdd:
        return ReadAdd();
      case MetricRecord::kSet:
        return SetRecord{Read<uint32_t>(), Read<double>()};
      case MetricRecord::kObserve:
        return ReadObserve();
    }
    ThrowUnknown();
  }

 private:
  template <typename T>
  T Read();
  std::string ReadString(size_t most);
  std::string ReadName(bool colons);
  FamilyRecord ReadFamily();
  SeriesRecord ReadSeries(uint32_t family, size_t label_count);
  AddRecord ReadAdd();
  ObserveRecord ReadObserve();
  [[noreturn]] static void ThrowUnknown();

  std::span<const std::byte> rest_;
  uint32_t observations_ = 0;
};

}  // namespace pytriton
