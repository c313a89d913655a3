// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace pytriton {

// Who keeps count of the workers of a model version. Told of every change at once, from any thread and with
// locks held; must not wait.
class Meter {
 public:
  virtual ~Meter() = default;
  // Workers attached, what they take in all: batches at a time, and bytes of shared memory.
  virtual void CountWorkers(int64_t /*change*/, int64_t /*capacity*/, int64_t /*memory_limit*/) noexcept {}
  // A worker has come in the place of one that was lost.
  virtual void CountRestart() noexcept {}
  virtual void CountBusy(int64_t /*change*/) noexcept {}
  virtual void CountInFlight(int64_t /*change*/) noexcept {}
  virtual void CountMemory(int64_t /*change*/) noexcept {}
  // There was no shared memory left for something.
  virtual void CountMemoryRefusal() noexcept {}

  // One that counts nothing.
  static Meter& None() {
    static Meter none;
    return none;
  }
};

}  // namespace pytriton
