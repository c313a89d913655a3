// SPDX-License-Identifier: Apache-2.0
#include "core/failure.h"

#include <cerrno>
#include <system_error>

namespace pytriton {

Failure SystemFailure(const std::string& doing) {
  return Failure(Code::kInternal, doing + ": " + std::generic_category().message(errno));
}

}  // namespace pytriton
