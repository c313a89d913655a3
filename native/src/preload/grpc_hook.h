// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pytriton {

// A front end deletes a request.
void ForgetCall(const void* request);

}  // namespace pytriton
