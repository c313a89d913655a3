// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backend/model_registry.h"

namespace pytriton {

// From now on the server says of these models that they are not ready while they have no worker; with nullptr
// it says what it did before. Does nothing where nothing of ours was preloaded.
void TellReadiness(ModelRegistry* models);

}  // namespace pytriton
