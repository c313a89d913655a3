// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/allocator.h"
#include "pytriton/shm_layout.h"

namespace pytriton::testing {

// Writes a table of results, and the data it names, as a worker does. The records are open to be spoilt
// before `Write`.
class ResultWriter {
 public:
  struct Tensor {
    TensorRecord record;
    std::vector<std::byte> data;
    bool placed = false;  // the record has its offset already
  };
  struct Error {
    ErrorRecord record;
    std::string text;
  };

  struct Response {
    ResponseRecord record;
    std::string parameters;
  };

  ResultWriter& Add(uint32_t tensor, uint32_t request, uint32_t datatype, std::vector<int64_t> dims,
                    std::vector<std::byte> data);
  ResultWriter& AddStrings(uint32_t tensor, uint32_t request, std::vector<int64_t> dims,
                           const std::vector<std::string>& values);
  ResultWriter& AddError(uint32_t request, uint32_t code, std::string text);
  // `parameters`: Parameter() of each, one after the other.
  ResultWriter& AddResponse(uint32_t request, uint32_t flags, std::string parameters = {},
                            uint32_t parameter_count = 0);
  // Names data that lies in the slot already.
  ResultWriter& AddPlaced(const TensorRecord& record);

  // Puts everything into `room` of the memory at `base`; returns the message that announces it.
  Message Write(std::byte* base, const Block& room, uint64_t slot = 1) const;

  std::vector<Tensor> tensors;
  std::vector<Error> errors;
  std::vector<Response> responses;
};

// A parameter as it lies in shared memory.
std::string PackParameter(const std::string& key, ParameterType type, const std::string& value);

// A BYTES tensor as it lies in shared memory.
std::vector<std::byte> StringList(const std::vector<std::string>& values);

}  // namespace pytriton::testing
