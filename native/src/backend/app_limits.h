// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "backend/binding.h"
#include "core/budget.h"

namespace pytriton {

// What all models of one app may have together. A server can serve several apps; their models are told apart
// by the directory of their sockets.
struct AppLimits {
  // Those of the app that a binding is of, as the binding states them if it is the first.
  static std::shared_ptr<AppLimits> Of(const Binding& binding);

  AppLimits(uint64_t memory_limit, uint64_t stream_memory_limit)
      : memory(std::make_shared<Budget>(Limit::kAll, memory_limit)),
        streams(std::make_shared<Budget>(Limit::kAll, stream_memory_limit)) {}

  const std::shared_ptr<Budget> memory;   // shared memory
  const std::shared_ptr<Budget> streams;  // what the server holds of streams that are not read
};

}  // namespace pytriton
