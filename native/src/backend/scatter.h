// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "backend/binding.h"
#include "backend/gather.h"
#include "core/results.h"

namespace pytriton {

// Answers every request of a batch from the results in its slot: each requested output is copied once,
// straight into the memory that Triton sends. A request that the function failed, or that Triton gives no
// memory for, gets its error. Requests of a decoupled model get one more response, and may end. Returns how
// many bytes were copied. Throws ProtocolError when the results are not what the model declares.
// `passed` is called with each request as soon as the results hold nothing more for it.
uint64_t Scatter(
    const Binding& binding, const SlotView& slot, const ResultTable& results,
    std::vector<BatchRequest>& requests,
    const std::function<void(BatchRequest&)>& passed = [](BatchRequest&) {});

}  // namespace pytriton
