// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/allocator.h"
#include "pytriton/shm_layout.h"

namespace pytriton {

// The memory of one batch as the server remembers it: what a worker says of its results is checked against
// this.
struct SlotView {
  const std::byte* base;
  std::span<const Block> blocks;

  bool Contains(uint64_t offset, uint64_t length) const;
};

// What a batch allows its results to be.
struct ResultBounds {
  std::span<const uint64_t> request_rows;  // one entry a request
  uint64_t rows;                           // their sum
  uint32_t tensor_count;                   // declared outputs
  bool batching;                           // the first dimension is rows
};

// Results that were copied out of shared memory and found sound: every range lies in the slot, every length
// fits its shape, every index is one that exists.
class ResultTable {
 public:
  // Throws ProtocolError.
  ResultTable(const SlotView& slot, const Message& message, const ResultBounds& bounds);

  // What answers one output of one request; null when the function gave none.
  const TensorRecord* Find(uint32_t request, uint32_t tensor) const;
  // Null when the request did not fail.
  const ErrorRecord* Error(uint32_t request) const;
  // Null when there is nothing to say.
  const ResponseRecord* Response(uint32_t request) const;
  bool has_errors() const { return !errors_.empty(); }
  // Where the heads of the strings of a BYTES tensor begin, counted from its own offset, and where it ends.
  std::span<const uint64_t> Strings(const TensorRecord& record) const;

  // Bytes of all tensors, to guess what the next batch needs.
  uint64_t tensor_bytes() const { return tensor_bytes_; }

 private:
  void ReadErrors(const SlotView& slot, uint32_t requests);
  void ReadResponses(const SlotView& slot, uint32_t requests);
  // Its number of elements.
  uint64_t CheckTensor(const SlotView& slot, const TensorRecord& record, const ResultBounds& bounds) const;

  std::vector<TensorRecord> tensors_;
  std::vector<std::vector<uint64_t>> strings_;  // one entry a tensor; empty for those that are not BYTES
  std::vector<ErrorRecord> errors_;
  std::vector<ResponseRecord> responses_;
  // [request][tensor], one row when all records are for all requests.
  std::vector<const TensorRecord*> by_request_;
  std::vector<const ErrorRecord*> error_of_;
  std::vector<const ResponseRecord*> response_of_;
  uint32_t tensor_count_;
  bool shared_rows_ = true;
  uint64_t tensor_bytes_ = 0;
};

// A parameter of a response.
struct ResponseParameter {
  std::string key;
  std::variant<std::string, int64_t, bool, double> value;
};

// The parameters of a response, copied out and checked. Throws ProtocolError.
std::vector<ResponseParameter> CopyParameters(const SlotView& slot, const ResponseRecord& record);

// Bytes of an element; 0 for BYTES and for what is no data type.
uint32_t ElementSize(uint32_t datatype);

// Product of dimensions. Throws ProtocolError when one is negative or the product does not fit.
uint64_t ElementCount(std::span<const int64_t> dims);

}  // namespace pytriton
