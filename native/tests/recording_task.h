// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/link.h"
#include "core/results.h"
#include "core/session.h"
#include "support.h"

namespace pytriton::testing {

// A batch without Triton: says to its test what happens to it.
class RecordingTask final : public Task {
 public:
  using Handler = std::function<void(const SlotView&, const Message&)>;

  explicit RecordingTask(std::shared_ptr<Lines> lines, Handler handler = {})
      : lines_(std::move(lines)), handler_(std::move(handler)) {}
  ~RecordingTask() override { lines_->Add("end"); }

  void OnResult(const SlotView& slot, const Message& message) override {
    if (handler_) {
      handler_(slot, message);
    } else {
      const std::vector<uint64_t> rows{1};
      const ResultTable table(slot, message, {rows, 1, 1, true});
    }
    lines_->Add("result");
  }
  void OnFailure(const Failure& failure) override { lines_->Add(std::string("failure: ") + failure.what()); }

 private:
  std::shared_ptr<Lines> lines_;
  Handler handler_;
};

// A session in a directory of its own, and what it says.
class TestSession {
 public:
  explicit TestSession(uint64_t memory_limit = 1 << 20,
                       const std::function<void(Session::Options&)>& change = {}) {
    Session::Options options;
    options.socket_path = path();
    options.memory_limit = memory_limit;
    options.log = [this](const std::string& line) { log.Add(line); };
    if (change) {
      change(options);
    }
    session_ = std::make_unique<Session>(std::move(options));
  }

  std::string path() const { return directory_ / "s"; }
  Session& operator*() { return *session_; }
  Session* operator->() { return session_.get(); }
  void Destroy() { session_.reset(); }

  Permit Acquire() {
    Claim none;
    return session_->Acquire(none);
  }

  // Sends a batch of so many bytes to a free worker; returns what will happen to it.
  std::shared_ptr<Lines> Post(uint64_t length = 4096, RecordingTask::Handler handler = {}) {
    auto lines = std::make_shared<Lines>();
    Permit permit = Acquire();
    const std::shared_ptr<Link> link = permit.link();
    const Link::Reservation reservation = link->Reserve(length);
    // As Gather does it: the worker's results go behind the header.
    const BlockHeader header{0, 0, 0, 0, 0, reservation.block.offset + 64, reservation.block.length - 64,
                             0, 0};
    std::memcpy(reservation.base + reservation.block.offset, &header, sizeof(header));
    std::unique_ptr<Task> task = std::make_unique<RecordingTask>(lines, std::move(handler));
    link->Post(reservation, task, permit);
    return lines;
  }

  Lines log;

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<Session> session_;
};

}  // namespace pytriton::testing
