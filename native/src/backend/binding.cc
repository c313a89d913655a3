// SPDX-License-Identifier: Apache-2.0
#include "backend/binding.h"

#include <array>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>

#include "core/failure.h"
#include "pytriton/shm_layout.h"

namespace pytriton {

namespace {

// In the order of TRITONSERVER_DataType.
constexpr std::array<std::string_view, 15> kDatatypes = {"INVALID", "BOOL", "UINT8", "UINT16", "UINT32",
                                                         "UINT64",  "INT8", "INT16", "INT32",  "INT64",
                                                         "FP16",    "FP32", "FP64",  "BYTES",  "BF16"};

uint64_t Number(std::istringstream& words, uint64_t most) {
  uint64_t value = 0;
  if (!(words >> value) || value > most) {
    throw std::invalid_argument("expected a number up to " + std::to_string(most));
  }
  return value;
}

std::string Rest(std::istringstream& words) {
  std::string text;
  std::getline(words >> std::ws, text);
  if (text.empty()) {
    throw std::invalid_argument("expected a value");
  }
  return text;
}

Binding::Tensor ReadTensor(std::istringstream& words) {
  std::string datatype;
  words >> datatype;
  for (uint32_t number = 1; number < kDatatypes.size(); ++number) {
    if (datatype == kDatatypes[number]) {
      const auto rank = static_cast<uint32_t>(Number(words, kMaxRank));
      return {Rest(words), number, rank};
    }
  }
  throw std::invalid_argument("unknown data type \"" + datatype + "\"");
}

void ReadLine(const std::string& line, Binding& binding) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  std::istringstream words(line);
  std::string key;
  words >> key;
  if (key == "kind") {
    const std::string kind = Rest(words);
    binding.bootstrap = kind == "bootstrap";
    binding.placeholder = kind == "placeholder";
  } else if (key == "socket") {
    binding.socket_path = Rest(words);
  } else if (key == "workers") {
    binding.workers = static_cast<uint32_t>(Number(words, std::numeric_limits<uint32_t>::max()));
  } else if (key == "attach-timeout-ms") {
    binding.attach_timeout = std::chrono::milliseconds(Number(words, std::numeric_limits<uint32_t>::max()));
  } else if (key == "resumed") {
    binding.resumed = Number(words, 1) == 1;
  } else if (key == "memory-limit") {
    binding.memory_limit = Number(words, kMost);
  } else if (key == "model-memory-limit") {
    binding.model_memory_limit = Number(words, kMost);
  } else if (key == "total-memory-limit") {
    binding.total_memory_limit = Number(words, kMost);
  } else if (key == "total-stream-memory-limit") {
    binding.total_stream_memory_limit = Number(words, kMost);
  } else if (key == "stream-memory-limit") {
    binding.stream_memory_limit = Number(words, kMost);
  } else if (key == "queue-policy") {
    binding.queue_policy = Number(words, 1) == 1;
  } else if (key == "batching") {
    binding.batching = Number(words, 1) == 1;
  } else if (key == "decoupled") {
    binding.decoupled = Number(words, 1) == 1;
  } else if (key == "input") {
    binding.inputs.push_back(ReadTensor(words));
  } else if (key == "output") {
    binding.outputs.push_back(ReadTensor(words));
  } else {
    throw std::invalid_argument("unknown key \"" + key + "\"");
  }
}

}  // namespace

Binding Binding::Read(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != "pytriton-binding 1") {
    throw Failure(Code::kInvalidArgument, "\"" + path +
                                              "\" is not a binding of this pytriton: its first line is \"" +
                                              line + "\", expected \"pytriton-binding 1\"");
  }
  Binding binding;
  for (int number = 2; std::getline(file, line); ++number) {
    try {
      ReadLine(line, binding);
    } catch (const std::invalid_argument& error) {
      throw Failure(Code::kInvalidArgument,
                    path + ":" + std::to_string(number) + ": " + error.what() + " in \"" + line + "\"");
    }
  }
  for (const std::vector<Tensor>* tensors : {&binding.inputs, &binding.outputs}) {
    for (const Tensor& tensor : *tensors) {
      if (tensor.rank + (binding.batching ? 1 : 0) > kMaxRank) {
        throw Failure(Code::kInvalidArgument, "\"" + path + "\": tensor \"" + tensor.name + "\" has " +
                                                  std::to_string(tensor.rank) +
                                                  " dimensions and the batch is one more, at most " +
                                                  std::to_string(kMaxRank) + " are possible");
      }
    }
  }
  if (!binding.bootstrap && !binding.placeholder &&
      (binding.socket_path.empty() || binding.memory_limit == 0)) {
    throw Failure(Code::kInvalidArgument, "\"" + path + "\" lacks a socket or a memory-limit");
  }
  return binding;
}

}  // namespace pytriton
