// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace pytriton {

// Whether the app has begun to end the server: the models answer what they have and are taken away.
extern std::atomic<bool> ending;

// What a caller is told of a model: that a server that is ending has it no more, is no reason to call it
// unknown.
void* OfEnding(void* error);

}  // namespace pytriton
