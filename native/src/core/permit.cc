// SPDX-License-Identifier: Apache-2.0
#include "core/permit.h"

#include "core/link.h"

namespace pytriton {

Permit& Permit::operator=(Permit&& other) noexcept {
  if (this != &other) {
    Release();
    link_ = std::move(other.link_);
    owner_ = other.owner_;
  }
  return *this;
}

void Permit::Release() {
  if (const std::shared_ptr<Link> link = std::exchange(link_, nullptr)) {
    owner_->Released(*link);
  }
}

}  // namespace pytriton
