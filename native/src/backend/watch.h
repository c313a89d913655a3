// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace pytriton {

// Something that has to look, again and again, whether anything has changed: Triton tells no backend that a
// request was cancelled.
class Watched {
 public:
  virtual ~Watched() = default;
  virtual void Look() noexcept = 0;

 private:
  friend class Watch;
  static constexpr size_t kNowhere = static_cast<size_t>(-1);
  size_t place_ = kNowhere;
};

// Lets everything that is added look every few milliseconds, in a thread of its own. Adding and removing cost
// next to nothing as long as something was added lately.
class Watch {
 public:
  Watch();
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void Add(Watched& watched);
  // It does not look any more when this returns. Does nothing if it was not added.
  void Remove(Watched& watched);

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Watched*> watched_;  // guarded by mutex_, as is what follows
  bool used_ = false;
  bool asleep_ = false;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace pytriton
