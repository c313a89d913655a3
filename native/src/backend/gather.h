// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "backend/binding.h"
#include "backend/handles.h"
#include "core/allocator.h"
#include "pytriton/shm_layout.h"

namespace pytriton {

// What a step of a stream was to one request.
enum class Delivery { kNothing, kResponse, kError, kCancelled, kEnd };

// A request of a batch and what the batch needs to know of it.
struct BatchRequest {
  Request handle;
  uint64_t rows = 1;              // its share of the first dimension; 1 where the model does not batch
  std::vector<uint32_t> outputs;  // declared outputs it asks for
  Delivery delivery = Delivery::kNothing;
  uint32_t reported = 0;  // responses in the statistics
};

// Puts the requests of a batch into one block of shared memory: every input of all requests contiguous, in a
// single copy.
class Gather {
 public:
  // Looks at all inputs. A request that cannot be part of the batch is failed and left out of `requests`.
  Gather(const Binding& binding, std::vector<BatchRequest>& requests);

  // How many were left out because they had been cancelled.
  uint64_t cancelled() const { return cancelled_; }

  // Bytes of a block, without room for results.
  uint64_t BlockSize() const;

  // Fills the block. Returns how many bytes of tensor data were copied.
  uint64_t CopyInputs(std::byte* segment, const Block& block, uint64_t received_ns = 0) const;

 private:
  struct Column {  // one input over all requests
    uint32_t tensor = 0;
    uint32_t datatype = 0;
    std::vector<Input> inputs;
    std::vector<int64_t> dims;  // of the whole batch
    uint64_t elements = 0;
    uint64_t length = 0;  // in the block
    uint64_t offset = 0;  // from the start of the block
  };

  void Add(BatchRequest& request);
  std::vector<std::pair<uint32_t, Input>> ReadInputs(const BatchRequest& request);
  std::span<const int64_t> EmptyBatch(std::span<const int64_t> dims);
  void CheckAlike(const std::vector<std::pair<uint32_t, Input>>& inputs) const;
  void AddInputs(const std::vector<std::pair<uint32_t, Input>>& inputs);
  void AddMeta(const BatchRequest& request);
  void LayOut();
  uint64_t CopyColumn(const Column& column, std::byte* to) const;

  const Binding& binding_;
  std::vector<Column> columns_;
  std::deque<std::vector<int64_t>> empty_batches_;
  std::vector<RequestRecord> records_;
  std::vector<std::byte> meta_;
  uint64_t rows_ = 0;
  uint64_t cancelled_ = 0;
  uint64_t inputs_offset_ = 0;
  uint64_t meta_offset_ = 0;
  uint64_t free_offset_ = 0;
};

}  // namespace pytriton
