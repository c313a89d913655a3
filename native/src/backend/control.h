// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "backend/model_registry.h"
#include "core/socket.h"
#include "pytriton/triton_abi.h"

namespace pytriton {

// The app's line into the server it started: commands come over an inherited socket, and its end means that
// the app is gone, which ends the server. pytriton/server/control.py is the other side.
//
//   command  u32 op, u32 id, name of a model or path of its socket        reply  u32 id, i32 code (-1: done,
//   else TRITONSERVER_Error_Code), text
class Control {
 public:
  Control(Socket socket, TRITONSERVER_Server* server, ModelRegistry& models);
  ~Control();

 private:
  struct Command {
    std::thread thread;
    bool done = false;
  };

  void Serve();
  // False when the app is gone or this object is being destroyed.
  bool WaitForPacket(int app_descriptor) const;
  void Start(uint32_t op, uint32_t id, const std::string& model);
  std::string Run(uint32_t op, const std::string& name);
  void Reply(uint32_t id, int32_t code, const std::string& text) const;
  void JoinDone();
  void EndServer();

  const Socket socket_;
  TRITONSERVER_Server* const server_;
  ModelRegistry& models_;
  UniqueFd stop_event_;
  std::mutex mutex_;
  std::list<Command> commands_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace pytriton
