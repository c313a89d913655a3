// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pytriton {

// As long as it lives, queues with a policy are looked after (preload/batcher_hook.cc).
class QueueCare {
 public:
  explicit QueueCare(bool needed);
  ~QueueCare();
  QueueCare(const QueueCare&) = delete;
  QueueCare& operator=(const QueueCare&) = delete;

 private:
  void (*const count_)(int change);
};

}  // namespace pytriton
