// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace pytriton {

// What the backend has to know of a model version beyond Triton's own configuration; the app writes it beside
// that (pytriton/server/repository.py), one value a line.
struct Binding {
  struct Tensor {
    std::string name;
    uint32_t datatype = 0;  // TRITONSERVER_DataType
    uint32_t rank = 0;      // without the batch dimension
  };

  bool bootstrap = false;    // only starts the control channel
  bool placeholder = false;  // only is there
  std::string socket_path;
  uint32_t workers = 1;  // that loading waits for
  std::chrono::milliseconds attach_timeout{30000};
  bool resumed = false;  // was served before, by a server that has died: workers may come later
  // Bytes of shared memory: of a worker, of all workers of the model, of all models of the app.
  uint64_t memory_limit = 0;
  uint64_t model_memory_limit = std::numeric_limits<int64_t>::max();
  uint64_t total_memory_limit = std::numeric_limits<int64_t>::max();
  // Bytes of a stream that the server may hold because its client does not read them.
  uint64_t stream_memory_limit = uint64_t{1} << 30;
  uint64_t total_stream_memory_limit = std::numeric_limits<int64_t>::max();  // of all streams of the app
  bool queue_policy = false;  // Triton's queue has limits, timeouts or priorities
  bool batching = true;
  bool decoupled = false;  // any number of responses to a request
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;

  // Throws Failure that names the file and the line.
  static Binding Read(const std::string& path);
};

}  // namespace pytriton
