// SPDX-License-Identifier: Apache-2.0
#include "backend/metric.h"

namespace pytriton {

namespace {

struct DeleteArgs {
  void operator()(TRITONSERVER_MetricArgs* args) const { Ignore(TRITONSERVER_MetricArgsDelete(args)); }
};

struct DeleteParameter {
  void operator()(TRITONSERVER_Parameter* parameter) const { TRITONSERVER_ParameterDelete(parameter); }
};

// Null for kinds that want none.
std::unique_ptr<TRITONSERVER_MetricArgs, DeleteArgs> ArgsOf(const MetricFamily& family) {
  if (family.kind() != TRITONSERVER_METRIC_KIND_HISTOGRAM) {
    return nullptr;
  }
  TRITONSERVER_MetricArgs* made = nullptr;
  Check(TRITONSERVER_MetricArgsNew(&made));
  std::unique_ptr<TRITONSERVER_MetricArgs, DeleteArgs> args(made);
  Check(TRITONSERVER_MetricArgsSetHistogram(made, family.buckets().data(), family.buckets().size()));
  return args;
}

}  // namespace

MetricFamily::MetricFamily(TRITONSERVER_MetricKind kind, const std::string& name, const std::string& help,
                           std::span<const double> buckets)
    : kind_(kind), buckets_(buckets.begin(), buckets.end()) {
  TRITONSERVER_MetricFamily* made = nullptr;
  Check(TRITONSERVER_MetricFamilyNew(&made, kind, name.c_str(), help.c_str()));
  handle_.reset(made);
}

Metric::Metric(const MetricFamily& family, const Labels& labels) {
  std::vector<std::unique_ptr<TRITONSERVER_Parameter, DeleteParameter>> owned;
  std::vector<const TRITONSERVER_Parameter*> parameters;
  for (const auto& [name, value] : labels) {
    owned.emplace_back(TRITONSERVER_ParameterNew(name.c_str(), TRITONSERVER_PARAMETER_STRING, value.c_str()));
    parameters.push_back(owned.back().get());
  }
  const auto args = ArgsOf(family);
  TRITONSERVER_Metric* made = nullptr;
  if (args == nullptr) {
    Check(TRITONSERVER_MetricNew(&made, family.get(), parameters.data(), parameters.size()));
  } else {
    Check(TRITONSERVER_MetricNewWithArgs(&made, family.get(), parameters.data(), parameters.size(),
                                         args.get()));
  }
  handle_.reset(made);
}

}  // namespace pytriton
