// SPDX-License-Identifier: Apache-2.0
//
// Everything that a process says of the metrics of its functions.
#include "backend/user_metrics.h"
#include "core/failure.h"
#include "fuzz.h"
#include "metric_writer.h"

namespace pytriton::testing {

std::vector<FuzzInput> FuzzSeeds() {
  MetricWriter writer;
  writer.Family(TRITONSERVER_METRIC_KIND_COUNTER, "c", {"a", "b"}).Series(0, {"x", "\u00e4"}).Add(0, 1);
  writer.Family(TRITONSERVER_METRIC_KIND_GAUGE, "g", {}, {}, Across::kMean).Series(1).Set(1, -1);
  writer.Family(TRITONSERVER_METRIC_KIND_HISTOGRAM, "h", {}, {1, 2}).Series(2).Observe(2, 1.5, 3);
  const auto* const bytes = reinterpret_cast<const uint8_t*>(writer.bytes().data());
  return {FuzzInput(bytes, bytes + writer.bytes().size())};
}

}  // namespace pytriton::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  pytriton::UserMetrics metrics;
  const auto one = metrics.Open(1);
  const auto two = metrics.Open(2);
  for (const auto& source : {one.get(), two.get()}) {
    try {
      source->Apply({reinterpret_cast<const std::byte*>(data), size});
    } catch (const pytriton::ProtocolError&) {
    }
  }
  return 0;
}
