// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "pytriton/shm_layout.h"

namespace pytriton::testing {

// The block of a batch, read as a worker reads it.
struct ReadBlock {
  struct Request {
    RequestRecord record;
    std::vector<uint32_t> outputs;
    std::string id;
    std::map<std::string, std::pair<ParameterType, std::string>> parameters;
    std::string trace;
  };
  struct Input {
    TensorRecord record;
    std::vector<int64_t> dims;
    std::vector<std::byte> data;

    std::vector<std::string> Strings() const;  // of a BYTES tensor
  };

  // Throws std::logic_error when anything lies outside of [offset, offset + length).
  ReadBlock(const std::byte* base, uint64_t offset, uint64_t length);

  BlockHeader header;
  std::vector<Request> requests;
  std::vector<Input> inputs;
};

}  // namespace pytriton::testing
