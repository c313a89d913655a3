// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "fake_triton.h"

struct TRITONSERVER_Parameter {
  std::string name;
  std::string value;
};

struct TRITONSERVER_MetricArgs {
  std::vector<double> buckets;
};

struct TRITONSERVER_MetricFamily {
  TRITONSERVER_MetricKind kind;
  std::string name;
  std::atomic<int> metrics{0};
};

struct TRITONSERVER_Metric {
  TRITONSERVER_MetricFamily* family;
  std::string labels;
};

namespace pytriton::testing {

struct MetricAccess {
  template <typename Change>
  static void Apply(const TRITONSERVER_Metric& metric, Change&& change) {
    Host& host = TheHost();
    const std::unique_lock lock(host.mutex_);
    auto& family = host.metrics_[metric.family->name];
    change(family[metric.labels]);
    if (family[metric.labels].users == 0) {
      family.erase(metric.labels);
    }
  }
};

Series Host::At(const std::string& name, const std::string& labels) {
  const std::unique_lock lock(mutex_);
  return metrics_.at(name).at(labels);
}

std::vector<std::string> Host::SeriesNames() {
  const std::unique_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, family] : metrics_) {
    for (const auto& [labels, series] : family) {
      names.push_back(name + labels);
    }
  }
  return names;
}

}  // namespace pytriton::testing

using pytriton::testing::MetricAccess;
using pytriton::testing::Series;
using pytriton::testing::TheHost;

namespace {

TRITONSERVER_Error* Unfit(const char* message) {
  return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_UNSUPPORTED, message);
}

TRITONSERVER_Error* New(TRITONSERVER_Metric** metric, TRITONSERVER_MetricFamily* family,
                        const TRITONSERVER_Parameter** labels, uint64_t label_count) {
  std::string text;
  for (uint64_t index = 0; index < label_count; ++index) {
    text += (index == 0 ? "{" : ",") + labels[index]->name + "=\"" + labels[index]->value + "\"";
  }
  ++family->metrics;
  *metric = new TRITONSERVER_Metric{family, text.empty() ? text : text + "}"};
  MetricAccess::Apply(**metric, [](Series& series) { ++series.users; });
  return nullptr;
}

}  // namespace

extern "C" {

TRITONSERVER_Parameter* TRITONSERVER_ParameterNew(const char* name, TRITONSERVER_ParameterType,
                                                  const void* value) {
  return new TRITONSERVER_Parameter{name, static_cast<const char*>(value)};
}

void TRITONSERVER_ParameterDelete(TRITONSERVER_Parameter* parameter) {
  delete parameter;
}

TRITONSERVER_Error* TRITONSERVER_MetricFamilyNew(TRITONSERVER_MetricFamily** family,
                                                 TRITONSERVER_MetricKind kind, const char* name,
                                                 const char*) {
  if (!TheHost().has_metrics) {
    return Unfit("metrics not supported");
  }
  *family = new TRITONSERVER_MetricFamily{kind, name};
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_MetricFamilyDelete(TRITONSERVER_MetricFamily* family) {
  if (family->metrics > 0) {
    return Unfit("the family has metrics");
  }
  delete family;
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_MetricArgsNew(TRITONSERVER_MetricArgs** args) {
  *args = new TRITONSERVER_MetricArgs;
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_MetricArgsSetHistogram(TRITONSERVER_MetricArgs* args, const double* buckets,
                                                        uint64_t bucket_count) {
  args->buckets.assign(buckets, buckets + bucket_count);
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_MetricArgsDelete(TRITONSERVER_MetricArgs* args) {
  delete args;
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_MetricNew(TRITONSERVER_Metric** metric, TRITONSERVER_MetricFamily* family,
                                           const TRITONSERVER_Parameter** labels, uint64_t label_count) {
  if (family->kind == TRITONSERVER_METRIC_KIND_HISTOGRAM) {
    return Unfit("a histogram has buckets");
  }
  return New(metric, family, labels, label_count);
}

TRITONSERVER_Error* TRITONSERVER_MetricNewWithArgs(TRITONSERVER_Metric** metric,
                                                   TRITONSERVER_MetricFamily* family,
                                                   const TRITONSERVER_Parameter** labels,
                                                   uint64_t label_count,
                                                   const TRITONSERVER_MetricArgs* args) {
  if (family->kind != TRITONSERVER_METRIC_KIND_HISTOGRAM || args->buckets.empty()) {
    return Unfit("only a histogram has buckets");
  }
  return New(metric, family, labels, label_count);
}

TRITONSERVER_Error* TRITONSERVER_MetricDelete(TRITONSERVER_Metric* metric) {
  MetricAccess::Apply(*metric, [](Series& series) { --series.users; });
  --metric->family->metrics;
  delete metric;
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_MetricIncrement(TRITONSERVER_Metric* metric, double value) {
  if (metric->family->kind == TRITONSERVER_METRIC_KIND_HISTOGRAM ||
      (metric->family->kind == TRITONSERVER_METRIC_KIND_COUNTER && !(value >= 0))) {
    return Unfit("a counter only grows, a histogram observes");
  }
  MetricAccess::Apply(*metric, [&](Series& series) { series.value += value; });
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_MetricSet(TRITONSERVER_Metric* metric, double value) {
  if (metric->family->kind != TRITONSERVER_METRIC_KIND_GAUGE) {
    return Unfit("only gauges are set");
  }
  MetricAccess::Apply(*metric, [&](Series& series) { series.value = value; });
  return nullptr;
}

TRITONSERVER_Error* TRITONSERVER_MetricObserve(TRITONSERVER_Metric* metric, double value) {
  if (metric->family->kind != TRITONSERVER_METRIC_KIND_HISTOGRAM) {
    return Unfit("only histograms observe");
  }
  MetricAccess::Apply(*metric, [&](Series& series) { series.observed.push_back(value); });
  return nullptr;
}

}  // extern "C"
