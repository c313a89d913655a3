// SPDX-License-Identifier: Apache-2.0
//
// Triton's side of its C API, as far as the backend uses it. Handles are what they stand for, tests fill them
// in; what the backend does to a request is kept in its Outcome, which outlives it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "pytriton/triton_abi.h"

namespace pytriton::testing {

using Bytes = std::vector<std::byte>;

// Elements of any plain type, or Triton's BYTES elements, as a client sends them.
template <typename T>
Bytes Pack(std::initializer_list<T> values) {
  Bytes bytes(values.size() * sizeof(T));
  if (values.size() > 0) {
    std::memcpy(bytes.data(), values.begin(), bytes.size());
  }
  return bytes;
}
Bytes PackStrings(const std::vector<std::string>& values);
// Cuts bytes into buffers at the given positions.
std::vector<Bytes> Cut(const Bytes& bytes, std::initializer_list<size_t> positions);

struct Tensor {
  TRITONSERVER_DataType datatype = TRITONSERVER_TYPE_INVALID;
  std::vector<int64_t> shape;
  Bytes data;
};

struct Times {
  uint64_t exec_start, compute_start, compute_end, exec_end;
};

using ParameterValue = std::variant<std::string, int64_t, bool, double, Bytes>;

// One response to a request.
struct Sent {
  std::map<std::string, Tensor> outputs;
  std::map<std::string, ParameterValue> parameters;
  bool final = false;
};

// What was reported of one response.
struct ResponseTimes {
  uint64_t start = 0;
  uint64_t output_start = 0;  // 0: an empty one
  uint64_t end = 0;
  bool failed = false;
};

// What became of a request.
class Outcome {
 public:
  // Waits for the request to be given back. False after a time that no test needs.
  bool Released();
  bool released_now();

  // To be read after Released.
  int responses = 0;
  int finals = 0;  // with a response, or without
  int releases = 0;
  std::optional<TRITONSERVER_Error_Code> error;
  std::string message;
  std::map<std::string, Tensor> outputs;  // of the last response
  std::vector<Sent> sent;
  std::vector<ResponseTimes> response_statistics;
  std::vector<std::pair<bool, Times>> statistics;

 private:
  friend struct OutcomeAccess;
  std::mutex mutex_;
  std::condition_variable changed_;
};

// For the functions that change it.
struct OutcomeAccess {
  template <typename Change>
  static void Apply(Outcome& outcome, Change&& change) {
    const std::unique_lock lock(outcome.mutex_);
    change(outcome);
    outcome.changed_.notify_all();
  }
};

// What stands at the metrics endpoint under a name and labels, as {label="value",...}.
struct Series {
  double value = 0;
  std::vector<double> observed;
  int users = 0;
};

// State of the server itself.
struct Host {
  uint32_t api_major = 1;
  uint32_t api_minor = 19;
  std::atomic<int> live_errors{0};
  std::atomic<int> live_responses{0};
  std::atomic<int> live_factories{0};

  void Log(std::string line);
  std::vector<std::string> TakeLog();

  std::atomic<bool> has_metrics{true};
  // Throws when there is no such series.
  Series At(const std::string& name, const std::string& labels);
  std::vector<std::string> SeriesNames();

 private:
  friend struct MetricAccess;
  std::mutex mutex_;
  std::map<std::string, std::map<std::string, Series>> metrics_;
  std::vector<std::string> log_;
};
Host& TheHost();

}  // namespace pytriton::testing

struct TRITONSERVER_Error {
  TRITONSERVER_Error_Code code;
  std::string message;
};

struct TRITONBACKEND_Input {
  std::string name;
  TRITONSERVER_DataType datatype = TRITONSERVER_TYPE_INVALID;
  std::vector<int64_t> shape;
  std::vector<pytriton::testing::Bytes> buffers;
  TRITONSERVER_MemoryType memory = TRITONSERVER_MEMORY_CPU;
};

struct TRITONSERVER_InferenceTrace {
  std::optional<std::string> context;
  bool refused = false;
};

struct TRITONBACKEND_Request {
  std::string id;
  uint64_t timeout_us = 0;
  std::atomic<bool> cancelled{false};
  std::vector<TRITONBACKEND_Input> inputs;
  std::vector<std::string> outputs;
  std::vector<std::pair<std::string, pytriton::testing::ParameterValue>> parameters;
  TRITONSERVER_InferenceTrace trace;

  // What Triton can do to a response: give it memory elsewhere, give it none, or not make it at all.
  TRITONSERVER_MemoryType output_memory = TRITONSERVER_MEMORY_CPU;
  std::string refused_output;
  int refused_responses = 0;

  std::shared_ptr<pytriton::testing::Outcome> outcome = std::make_shared<pytriton::testing::Outcome>();
};

struct TRITONBACKEND_Output {
  TRITONBACKEND_Request* request;
  std::string name;
  pytriton::testing::Tensor tensor;
};

struct TRITONBACKEND_ResponseFactory {
  std::shared_ptr<pytriton::testing::Outcome> outcome;
};

struct TRITONBACKEND_ModelInstanceResponseStatistics {
  TRITONBACKEND_ModelInstance* instance = nullptr;
  TRITONBACKEND_ResponseFactory* factory = nullptr;
  pytriton::testing::ResponseTimes reported;
};

struct TRITONBACKEND_Response {
  TRITONBACKEND_Request* request;
  std::map<std::string, pytriton::testing::ParameterValue> parameters;
  std::vector<std::unique_ptr<TRITONBACKEND_Output>> outputs;
};

struct TRITONSERVER_Server {
  using Action = std::function<TRITONSERVER_Error*(const std::string& model)>;
  Action load = [](const std::string&) { return nullptr; };
  Action unload = [](const std::string&) { return nullptr; };
};

struct TRITONBACKEND_Backend {
  void* state = nullptr;
};

struct TRITONBACKEND_Model {
  std::string name;
  uint64_t version = 1;
  std::string directory;
  TRITONSERVER_Server* server = nullptr;
  TRITONBACKEND_Backend* backend = nullptr;
  void* state = nullptr;
};

struct TRITONBACKEND_ModelInstance {
  TRITONBACKEND_Model* model = nullptr;
  void* state = nullptr;
  std::mutex mutex;
  std::vector<std::pair<uint64_t, pytriton::testing::Times>> batches;  // size, times; guarded by mutex

  std::vector<std::pair<uint64_t, pytriton::testing::Times>> Batches() {
    const std::unique_lock lock(mutex);
    return batches;
  }
};
