// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "backend/metric.h"
#include "backend/metric_records.h"

namespace pytriton {

// Metrics that functions have declared, of all processes together: counters and histograms add up, gauges as
// they were declared to. What a process has counted stays when it goes, what its gauges say does not.
class UserMetrics {
 public:
  class Source;

  // A process that begins to report. Throws Failure when it reports already.
  std::unique_ptr<Source> Open(uint64_t process);

 private:
  struct Series {
    Labels labels;
    Metric metric;
    std::map<const Source*, double> gauges;  // what each process says
  };

  struct Family {
    FamilyRecord declared;
    MetricFamily metrics;
    std::map<std::vector<std::string>, Series> series;  // after the metrics, which they must not outlive
  };

  // What a process means by an id: a series, or nothing if it was refused.
  struct Reference {
    Family* family = nullptr;
    Series* series = nullptr;
  };

  Family& Declare(const FamilyRecord& record);
  Series& Find(Family& family, const std::vector<std::string>& values);
  static void Publish(const Family& family, Series& series);
  static void Forget(const Source& source, const Reference& reference);

  std::mutex mutex_;  // guards all of this
  std::set<uint64_t> processes_;
  std::set<std::string> names_;  // of all that stands at the endpoint, such as name_sum
  std::map<std::string, Family> families_;
  size_t series_count_ = 0;
};

// What one process reports. Belongs to one thread; must not outlive the metrics.
class UserMetrics::Source {
 public:
  Source(UserMetrics& owner, uint64_t process) : owner_(owner), process_(process) {}
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source();

  // Takes a packet of records; returns what is not shown and why. Throws ProtocolError when it is unsound.
  std::string Apply(std::span<const std::byte> packet);

 private:
  void Take(const FamilyRecord& record);
  void Take(const SeriesRecord& record);
  void Take(const AddRecord& record);
  void Take(const SetRecord& record);
  void Take(const ObserveRecord& record);
  const Reference& Find(uint32_t series, TRITONSERVER_MetricKind kind) const;

  UserMetrics& owner_;
  const uint64_t process_;
  struct Declared {
    Family* family;  // null if it was refused
    size_t labels;
  };
  std::vector<Declared> families_;
  std::vector<Reference> series_;
};

}  // namespace pytriton
