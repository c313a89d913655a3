// SPDX-License-Identifier: Apache-2.0
#include "backend/queue_care.h"

#include <dlfcn.h>

namespace pytriton {

namespace {

using Count = void (*)(int change);

Count Find(bool needed) {
  return needed ? reinterpret_cast<Count>(dlsym(RTLD_DEFAULT, "pytriton_count_queue_policies")) : nullptr;
}

}  // namespace

QueueCare::QueueCare(bool needed) : count_(Find(needed)) {
  if (count_ != nullptr) {
    count_(1);
  }
}

QueueCare::~QueueCare() {
  if (count_ != nullptr) {
    count_(-1);
  }
}

}  // namespace pytriton
