// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

namespace pytriton {

class Link;
class LinkOwner;

// The right to have one more batch in flight on a link. Given back when it goes out of scope.
class Permit {
 public:
  Permit() = default;
  Permit(std::shared_ptr<Link> link, LinkOwner* owner) : link_(std::move(link)), owner_(owner) {}
  Permit(Permit&& other) noexcept = default;
  Permit& operator=(Permit&& other) noexcept;
  ~Permit() { Release(); }

  void Release();
  const std::shared_ptr<Link>& link() const { return link_; }
  explicit operator bool() const { return link_ != nullptr; }

 private:
  std::shared_ptr<Link> link_;
  LinkOwner* owner_ = nullptr;
};

}  // namespace pytriton
