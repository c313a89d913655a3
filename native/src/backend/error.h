// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "core/failure.h"
#include "pytriton/triton_abi.h"

namespace pytriton {

// Triton reports by pointers, we by exceptions. Here is the one place where either becomes the other.

// Throws what Triton reported.
void Check(TRITONSERVER_Error* error);

// For calls whose failure changes nothing any more.
void Ignore(TRITONSERVER_Error* error);

TRITONSERVER_Error* MakeError(const Failure& failure);

// The exception in flight as an error for Triton.
TRITONSERVER_Error* CurrentError() noexcept;

template <typename Body>
TRITONSERVER_Error* Guard(Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return nullptr;
  } catch (...) {
    return CurrentError();
  }
}

void Log(TRITONSERVER_LogLevel level, const std::string& text);

}  // namespace pytriton
