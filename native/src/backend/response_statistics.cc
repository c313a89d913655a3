// SPDX-License-Identifier: Apache-2.0
#include "backend/response_statistics.h"

#include <memory>

#include "backend/error.h"

namespace pytriton {

namespace {

struct DeleteStatistics {
  void operator()(TRITONBACKEND_ModelInstanceResponseStatistics* statistics) const {
    Ignore(TRITONBACKEND_ModelInstanceResponseStatisticsDelete(statistics));
  }
};

struct DeleteError {
  void operator()(TRITONSERVER_Error* error) const { TRITONSERVER_ErrorDelete(error); }
};

// Of an error only its kind counts.
std::unique_ptr<TRITONSERVER_Error, DeleteError> ErrorOf(Delivery delivery) {
  if (delivery != Delivery::kError && delivery != Delivery::kCancelled) {
    return nullptr;
  }
  const Code code = delivery == Delivery::kCancelled ? Code::kCancelled : Code::kInternal;
  return std::unique_ptr<TRITONSERVER_Error, DeleteError>(MakeError(Failure(code, "")));
}

}  // namespace

void ReportResponse(TRITONBACKEND_ModelInstance* instance, const Request& request, Delivery delivery,
                    const ResponseTimes& times) {
  TRITONBACKEND_ModelInstanceResponseStatistics* made = nullptr;
  Check(TRITONBACKEND_ModelInstanceResponseStatisticsNew(&made));
  const std::unique_ptr<TRITONBACKEND_ModelInstanceResponseStatistics, DeleteStatistics> statistics(made);
  Check(TRITONBACKEND_ModelInstanceResponseStatisticsSetModelInstance(made, instance));
  Check(TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseFactory(made, request.factory()->get()));
  Check(TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseStart(made, times.start_ns));
  if (delivery == Delivery::kResponse || delivery == Delivery::kError) {
    Check(TRITONBACKEND_ModelInstanceResponseStatisticsSetComputeOutputStart(made, times.output_start_ns));
  }
  Check(TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseEnd(made, times.end_ns));
  const auto error = ErrorOf(delivery);
  Check(TRITONBACKEND_ModelInstanceResponseStatisticsSetError(made, error.get()));
  Check(TRITONBACKEND_ModelInstanceReportResponseStatistics(made));
}

}  // namespace pytriton
