// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "backend/gather.h"
#include "backend/handles.h"

namespace pytriton {

struct ResponseTimes {
  uint64_t start_ns;
  uint64_t output_start_ns;  // when the function was done with it
  uint64_t end_ns;
};

// Reports one response of a stream to Triton's statistics. Throws Failure.
void ReportResponse(TRITONBACKEND_ModelInstance* instance, const Request& request, Delivery delivery,
                    const ResponseTimes& times);

}  // namespace pytriton
