// SPDX-License-Identifier: Apache-2.0
#include "backend/user_metrics.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>
#include <variant>

namespace pytriton {

namespace {

// A function that makes a label of every request would fill the server's memory, and Prometheus'.
constexpr size_t kMostFamilies = 1000;
constexpr size_t kMostSeries = 10000;

std::vector<std::string> NamesOf(const FamilyRecord& record) {
  std::vector<std::string> names = {record.name};
  if (record.kind == TRITONSERVER_METRIC_KIND_HISTOGRAM) {
    for (const char* const suffix : {"_bucket", "_count", "_sum"}) {
      names.push_back(record.name + suffix);
    }
  }
  return names;
}

double Together(Across across, const std::map<const UserMetrics::Source*, double>& gauges) {
  double sum = 0;
  double most = -std::numeric_limits<double>::infinity();
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [source, value] : gauges) {
    sum += value;
    most = std::max(most, value);
    least = std::min(least, value);
  }
  switch (across) {
    case Across::kMax:
      return most;
    case Across::kMin:
      return least;
    case Across::kMean:
      return sum / static_cast<double>(gauges.size());
    default:
      return sum;
  }
}

}  // namespace

std::unique_ptr<UserMetrics::Source> UserMetrics::Open(uint64_t process) {
  const std::unique_lock lock(mutex_);
  if (!processes_.insert(process).second) {
    throw Failure(Code::kAlreadyExists, "this process reports already");
  }
  return std::make_unique<Source>(*this, process);
}

UserMetrics::Family& UserMetrics::Declare(const FamilyRecord& record) {
  const auto known = families_.find(record.name);
  if (known != families_.end()) {
    const FamilyRecord& declared = known->second.declared;
    if (declared.kind != record.kind || declared.across != record.across ||
        declared.labels != record.labels || declared.buckets != record.buckets) {
      throw Failure(Code::kInvalidArgument,
                    "\"" + record.name +
                        "\" was declared before with another kind, other labels, buckets or aggregation");
    }
    return known->second;
  }
  for (const std::string& name : NamesOf(record)) {
    if (name.starts_with("nv_") || name.starts_with("pytriton_") || names_.contains(name)) {
      throw Failure(Code::kInvalidArgument,
                    "the name \"" + name + "\" is taken; those with nv_ and pytriton_ are the server's");
    }
  }
  if (families_.size() >= kMostFamilies) {
    throw Failure(Code::kUnavailable, "\"" + record.name + "\" is one metric too many, at most " +
                                          std::to_string(kMostFamilies) + " are possible");
  }
  MetricFamily metrics(record.kind, record.name, record.help, record.buckets);
  const auto added = families_.emplace(record.name, Family{record, std::move(metrics), {}}).first;
  for (std::string& name : NamesOf(record)) {
    names_.insert(std::move(name));
  }
  return added->second;
}

UserMetrics::Series& UserMetrics::Find(Family& family, const std::vector<std::string>& values) {
  const auto known = family.series.find(values);
  if (known != family.series.end()) {
    return known->second;
  }
  if (series_count_ >= kMostSeries) {
    throw Failure(Code::kUnavailable, "\"" + family.declared.name + "\" has labels of too many values: " +
                                          std::to_string(kMostSeries) + " are shown already");
  }
  Series series;
  for (size_t index = 0; index < values.size(); ++index) {
    series.labels.emplace_back(family.declared.labels[index], values[index]);
  }
  if (family.declared.kind != TRITONSERVER_METRIC_KIND_GAUGE) {
    series.metric = Metric(family.metrics, series.labels);
  }
  ++series_count_;
  return family.series.emplace(values, std::move(series)).first->second;
}

// A gauge is shown as long as somebody says something of it.
void UserMetrics::Publish(const Family& family, Series& series) {
  if (series.gauges.empty()) {
    series.metric = Metric();
    return;
  }
  if (!series.metric) {
    series.metric = Metric(family.metrics, series.labels);
  }
  series.metric.Set(Together(family.declared.across, series.gauges));
}

void UserMetrics::Forget(const Source& source, const Reference& reference) {
  if (reference.series == nullptr || reference.family->declared.kind != TRITONSERVER_METRIC_KIND_GAUGE) {
    return;
  }
  reference.series->gauges.erase(&source);
  Ignore(Guard([&] { Publish(*reference.family, *reference.series); }));
}

UserMetrics::Source::~Source() {
  const std::unique_lock lock(owner_.mutex_);
  owner_.processes_.erase(process_);
  for (const Reference& reference : series_) {
    Forget(*this, reference);
  }
}

std::string UserMetrics::Source::Apply(std::span<const std::byte> packet) {
  MetricRecords records(packet);
  std::string refused;
  const auto label_count = [this](uint32_t family) {
    if (family >= families_.size()) {
      throw ProtocolError("a metric that was not declared");
    }
    return families_[family].labels;
  };
  while (!records.empty()) {
    const Record record = records.Next(label_count);
    const std::unique_lock lock(owner_.mutex_);
    try {
      std::visit([this](const auto& taken) { Take(taken); }, record);
    } catch (const Failure& failure) {
      refused = failure.what();
    }
  }
  return refused;
}

void UserMetrics::Source::Take(const FamilyRecord& record) {
  if (families_.size() >= 2 * kMostFamilies) {
    throw ProtocolError("a process that declares metrics without end");
  }
  families_.push_back({nullptr, record.labels.size()});
  families_.back().family = &owner_.Declare(record);
}

void UserMetrics::Source::Take(const SeriesRecord& record) {
  if (series_.size() >= 2 * kMostSeries) {
    throw ProtocolError("a process that makes labels without end");
  }
  series_.emplace_back();
  Family* const family = families_[record.family].family;
  if (family != nullptr) {
    series_.back() = {family, &owner_.Find(*family, record.values)};
  }
}

const UserMetrics::Reference& UserMetrics::Source::Find(uint32_t series, TRITONSERVER_MetricKind kind) const {
  if (series >= series_.size()) {
    throw ProtocolError("a metric with labels that were not told before");
  }
  const Reference& reference = series_[series];
  if (reference.family != nullptr && reference.family->declared.kind != kind) {
    throw ProtocolError("metric \"" + reference.family->declared.name + "\" is of another kind");
  }
  return reference;
}

void UserMetrics::Source::Take(const AddRecord& record) {
  const Reference& found = Find(record.series, TRITONSERVER_METRIC_KIND_COUNTER);
  if (found.series != nullptr) {
    found.series->metric.Increment(record.change);
  }
}

void UserMetrics::Source::Take(const SetRecord& record) {
  const Reference& found = Find(record.series, TRITONSERVER_METRIC_KIND_GAUGE);
  if (found.series != nullptr) {
    found.series->gauges[this] = record.value;
    Publish(*found.family, *found.series);
  }
}

void UserMetrics::Source::Take(const ObserveRecord& record) {
  const Reference& found = Find(record.series, TRITONSERVER_METRIC_KIND_HISTOGRAM);
  for (uint32_t time = 0; found.series != nullptr && time < record.times; ++time) {
    found.series->metric.Observe(record.value);
  }
}

}  // namespace pytriton
