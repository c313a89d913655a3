// SPDX-License-Identifier: Apache-2.0
#pragma once

// Of the library that is preloaded into the server.
namespace pytriton {

// A front end deletes a request.
void ForgetCall(const void* request);

}  // namespace pytriton
