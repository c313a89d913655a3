// SPDX-License-Identifier: Apache-2.0
#include "backend/instance.h"

namespace pytriton {

void Instance::Execute(std::span<TRITONBACKEND_Request* const> requests) noexcept {
  auto owned = std::make_unique<Batch>(model_, handle_, requests);
  Batch& batch = *owned;
  std::unique_ptr<Task> task = std::move(owned);
  if (batch.empty()) {
    return;
  }
  try {
    Submit(task, batch);
  } catch (const Failure& failure) {
    batch.OnFailure(failure);
  } catch (const std::exception& error) {
    batch.OnFailure(Failure(Code::kInternal, error.what()));
  }
  task.reset();
  claim_ = model_.session().AwaitFree();
}

// A worker that goes before it has got the batch costs nothing: the next one takes it.
void Instance::Submit(std::unique_ptr<Task>& task, Batch& batch) {
  while (true) {
    Permit permit = model_.session().Acquire(claim_);
    const std::shared_ptr<Link> link = permit.link();
    try {
      const Link::Reservation reservation =
          link->Reserve(batch.BlockSize(), batch.ResultRoom(), batch.requests());
      try {
        batch.CopyInputs(reservation);
        if (link->capacity() == 1) {
          link->Run(reservation, task, permit);
        } else {
          link->Post(reservation, task, permit);
        }
        return;
      } catch (...) {
        link->Abandon(reservation);
        throw;
      }
    } catch (const Failure&) {
      if (!link->closed()) {
        throw;
      }
    }
  }
}

}  // namespace pytriton
