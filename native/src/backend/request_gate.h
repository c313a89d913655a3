// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pytriton {

// Lets the server refuse requests of models that have as many as the app allows
// (PYTRITON_REQUESTS_PER_MODEL), where it was started with our library (preload/request_hook.cc). With
// Triton's own limit, max_queue_size, no batch is formed while all workers are busy.
void LimitRequests();

// A request of ours that is about to be given back: the front ends may keep it for as long as its client
// keeps its stream.
void LeaveLimit(const void* request);

}  // namespace pytriton
