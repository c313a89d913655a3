// SPDX-License-Identifier: Apache-2.0
#include "instance.h"

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
  if (!permit_) {
    permit_ = model_.session().AcquireNext();
  }
}

// A worker that goes before it has got the batch costs nothing: the next one takes it.
void Instance::Submit(std::unique_ptr<Task>& task, Batch& batch) {
  while (true) {
    if (!permit_ || permit_.link()->closed()) {
      permit_.Release();
      permit_ = model_.session().Acquire();
    }
    const std::shared_ptr<Link> link = permit_.link();
    try {
      const Link::Reservation reservation = link->Reserve(batch.BlockSize());
      try {
        batch.CopyInputs(reservation);
        link->Post(reservation, task, permit_);
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
