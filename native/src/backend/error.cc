// SPDX-License-Identifier: Apache-2.0
#include "backend/error.h"

#include <exception>

namespace pytriton {

void Check(TRITONSERVER_Error* error) {
  if (error == nullptr) {
    return;
  }
  const Failure failure(static_cast<Code>(TRITONSERVER_ErrorCode(error)), TRITONSERVER_ErrorMessage(error));
  TRITONSERVER_ErrorDelete(error);
  throw failure;
}

void Ignore(TRITONSERVER_Error* error) {
  if (error != nullptr) {
    Log(TRITONSERVER_LOG_ERROR, TRITONSERVER_ErrorMessage(error));
    TRITONSERVER_ErrorDelete(error);
  }
}

TRITONSERVER_Error* MakeError(const Failure& failure) {
  return TRITONSERVER_ErrorNew(static_cast<TRITONSERVER_Error_Code>(failure.code()), failure.what());
}

TRITONSERVER_Error* CurrentError() noexcept {
  try {
    throw;
  } catch (const Failure& failure) {
    return MakeError(failure);
  } catch (const std::exception& error) {
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, error.what());
  } catch (...) {
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, "unknown exception");
  }
}

void Log(TRITONSERVER_LogLevel level, const std::string& text) {
  if (TRITONSERVER_Error* error = TRITONSERVER_LogMessage(level, "pytriton", 0, text.c_str())) {
    TRITONSERVER_ErrorDelete(error);
  }
}

}  // namespace pytriton
