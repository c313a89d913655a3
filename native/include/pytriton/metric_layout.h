// SPDX-License-Identifier: Apache-2.0
//
// What a process says of the metrics of its functions, on a socket of its own beside those of its models.
// Stated here once; pytriton/metrics/wire.py mirrors it, and a contract test compares the two. Integers and
// doubles are native-endian and not padded; a string is its u16 length and UTF-8.
//
//   first packet     MetricsHello
//   further packets  records, each a u8 MetricRecord and what is said of it below
//   reply to each    empty if all is well, else what is not shown and why
#pragma once

#include <cstddef>
#include <cstdint>

namespace pytriton {

inline constexpr uint64_t kMetricsMagic = 0x314d4e4f54525450;  // "PTRTONM1"
inline constexpr size_t kMaxMetricsPacket = 64 * 1024;
inline constexpr uint32_t kMaxObservations = 1 << 20;  // of a packet
inline constexpr uint32_t kMaxMetricName = 200;        // bytes, of labels too
inline constexpr uint32_t kMaxMetricText = 1000;       // bytes, of a help or the value of a label
inline constexpr uint32_t kMaxLabels = 16;
inline constexpr uint32_t kMaxBuckets = 100;

struct MetricsHello {
  uint64_t magic;
  uint64_t process;  // a number that no other has; it reports on one connection at a time
};

// Ids are the process's own, and count from 0.
enum class MetricRecord : uint8_t {
  kFamily = 1,   // next id; u8 TRITONSERVER_MetricKind, u8 Across, name, help, u8 count and label names, u8
                 // count and f64 buckets
  kSeries = 2,   // next id; u32 family, a value for each label
  kAdd = 3,      // u32 series, f64 to add to a counter
  kSet = 4,      // u32 series, f64 that a gauge is now
  kObserve = 5,  // u32 series, f64 observed by a histogram, u32 how often
};

// What gauges of several processes are together.
enum class Across : uint8_t { kSum = 0, kMax = 1, kMin = 2, kMean = 3 };

}  // namespace pytriton
