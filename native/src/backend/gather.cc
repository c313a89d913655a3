// SPDX-License-Identifier: Apache-2.0
#include "backend/gather.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "backend/string_tensor.h"
#include "core/results.h"
#include "pytriton/shm_layout.h"

namespace pytriton {

namespace {

constexpr uint64_t kMaxExtent = uint64_t{1} << 48;

constexpr uint64_t AlignUp(uint64_t value) {
  return (value + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

void Append(std::vector<std::byte>& bytes, const void* data, size_t size) {
  const auto* begin = static_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), begin, begin + size);
}

void AppendParameter(std::vector<std::byte>& bytes, TRITONBACKEND_Request* request, uint32_t index) {
  const char* key = nullptr;
  TRITONSERVER_ParameterType type = TRITONSERVER_PARAMETER_STRING;
  const void* value = nullptr;
  Check(TRITONBACKEND_RequestParameter(request, index, &key, &type, &value));
  if (type > TRITONSERVER_PARAMETER_DOUBLE) {
    throw Failure(Code::kUnsupported,
                  std::string("parameter \"") + key + "\" is no string, integer, bool or double");
  }
  const size_t value_size = type == TRITONSERVER_PARAMETER_STRING
                                ? std::strlen(static_cast<const char*>(value))
                            : type == TRITONSERVER_PARAMETER_BOOL ? sizeof(bool)
                                                                  : sizeof(uint64_t);
  const uint32_t sizes[] = {static_cast<uint32_t>(std::strlen(key)), static_cast<uint32_t>(type),
                            static_cast<uint32_t>(value_size)};
  Append(bytes, sizes, sizeof(sizes));
  Append(bytes, key, sizes[0]);
  Append(bytes, value, value_size);
}

// Where the server has got to in its trace of a request; empty if it does not trace it.
std::string_view TraceContext(TRITONBACKEND_Request* request) {
  TRITONSERVER_InferenceTrace* trace = nullptr;
  if (TRITONSERVER_Error* const error = TRITONBACKEND_RequestTrace(request, &trace)) {
    TRITONSERVER_ErrorDelete(error);  // a server that was built without tracing
    return {};
  }
  const char* context = nullptr;
  if (trace != nullptr) {
    Check(TRITONSERVER_InferenceTraceContext(trace, &context));
  }
  return context == nullptr ? std::string_view() : std::string_view(context);
}

Failure InvalidInput(const Input& input, const std::string& why) {
  return Failure(Code::kInvalidArgument, std::string("input \"") + input.name + "\" " + why);
}

// Elements of an input. NumPy makes no array of more bytes than it can count, even if another dimension is 0,
// and the rows of a batch are added up; so all but the zeros count here, and the limit leaves room.
uint64_t CountElements(const Input& input) {
  uint64_t elements = 1;
  uint64_t extent = std::max<uint64_t>(ElementSize(input.datatype), sizeof(void*));
  for (const int64_t dim : input.dims) {
    const auto size = static_cast<uint64_t>(dim);
    elements *= size;
    if (dim < 0 || __builtin_mul_overflow(extent, std::max<uint64_t>(size, 1), &extent) ||
        extent > kMaxExtent) {
      throw InvalidInput(input, "has a dimension of " + std::to_string(dim) +
                                    ", which makes a shape that no tensor can have");
    }
  }
  return elements;
}

// Throws unless the input is of the declared type, of a shape that fits a record, and as long as its shape
// needs.
void CheckInput(const Input& input, const Binding::Tensor& declared) {
  if (input.datatype != declared.datatype) {
    throw InvalidInput(input, "is of another data type than the model declares");
  }
  if (input.dims.size() > kMaxRank) {
    throw InvalidInput(input, "has " + std::to_string(input.dims.size()) + " dimensions, at most " +
                                  std::to_string(kMaxRank) + " are possible");
  }
  for (uint32_t buffer = 0; buffer < input.buffer_count; ++buffer) {
    input.Buffer(buffer);  // throws for memory that cannot be read here
  }
  const uint64_t elements = CountElements(input);
  const uint64_t needed = elements * ElementSize(input.datatype);
  if (input.datatype == TRITONSERVER_TYPE_BYTES) {
    CheckStrings(input, elements);
  } else if (input.byte_size != needed) {
    throw InvalidInput(input, "has " + std::to_string(input.byte_size) + " bytes where its shape needs " +
                                  std::to_string(needed));
  }
}

// The rows of a request, of which all its inputs have the same.
uint64_t RowsOf(const std::vector<std::pair<uint32_t, Input>>& inputs) {
  if (inputs.empty()) {
    throw Failure(
        Code::kInvalidArgument,
        "a request without inputs has no batch size; send one, or bind the model with batching=False");
  }
  uint64_t rows = 0;
  for (const auto& [tensor, input] : inputs) {
    const auto own = static_cast<uint64_t>(input.dims.empty() ? 0 : input.dims[0]);
    if (&input != &inputs[0].second && own != rows) {
      throw InvalidInput(input, "has " + std::to_string(own) + " rows where \"" + inputs[0].second.name +
                                    "\" has " + std::to_string(rows));
    }
    rows = own;
  }
  return rows;
}

// Whether two shapes differ in nothing but the batch dimension.
bool RowsAlike(std::span<const int64_t> a, std::span<const int64_t> b) {
  return a.size() == b.size() && !a.empty() && std::equal(a.begin() + 1, a.end(), b.begin() + 1);
}

}  // namespace

Gather::Gather(const Binding& binding, std::vector<BatchRequest>& requests) : binding_(binding) {
  records_.reserve(requests.size());
  std::erase_if(requests, [this](BatchRequest& request) {
    try {
      Add(request);
      return false;
    } catch (const Failure& failure) {
      request.handle.Fail(failure);
    } catch (const std::exception& error) {
      request.handle.Fail(Failure(Code::kInvalidArgument, error.what()));
    }
    return true;
  });
  LayOut();
}

void Gather::Add(BatchRequest& request) {
  if (request.handle.IsCancelled()) {
    ++cancelled_;
    throw Failure(Code::kCancelled, "the request was cancelled before it was run");
  }
  if (binding_.decoupled) {
    request.handle.OpenStream();
  }
  const std::vector<std::pair<uint32_t, Input>> inputs = ReadInputs(request);
  if (binding_.batching) {
    request.rows = RowsOf(inputs);
  }
  uint32_t output_count = 0;
  Check(TRITONBACKEND_RequestOutputCount(request.handle.get(), &output_count));
  for (uint32_t index = 0; index < output_count; ++index) {
    const char* name = nullptr;
    Check(TRITONBACKEND_RequestOutputName(request.handle.get(), index, &name));
    const auto found = std::find_if(binding_.outputs.begin(), binding_.outputs.end(),
                                    [&](const Binding::Tensor& output) { return output.name == name; });
    if (found != binding_.outputs.end()) {
      request.outputs.push_back(static_cast<uint32_t>(found - binding_.outputs.begin()));
    }
  }
  CheckAlike(inputs);
  AddMeta(request);
  AddInputs(inputs);
  rows_ += request.rows;
}

// The inputs of a request in declared order, each checked against its own size.
std::vector<std::pair<uint32_t, Input>> Gather::ReadInputs(const BatchRequest& request) {
  uint32_t count = 0;
  Check(TRITONBACKEND_RequestInputCount(request.handle.get(), &count));
  std::vector<std::pair<uint32_t, Input>> inputs;
  inputs.reserve(count);
  for (uint32_t index = 0; index < count; ++index) {
    TRITONBACKEND_Input* handle = nullptr;
    Check(TRITONBACKEND_RequestInputByIndex(request.handle.get(), index, &handle));
    Input input(handle);
    const auto found =
        std::find_if(binding_.inputs.begin(), binding_.inputs.end(),
                     [&](const Binding::Tensor& declared) { return declared.name == input.name; });
    if (found == binding_.inputs.end()) {
      throw Failure(Code::kInvalidArgument, std::string("the model has no input \"") + input.name + "\"");
    }
    if (binding_.batching && input.dims.size() == found->rank) {
      input.dims = EmptyBatch(input.dims);
    }
    CheckInput(input, *found);
    inputs.emplace_back(static_cast<uint32_t>(found - binding_.inputs.begin()), input);
  }
  std::sort(inputs.begin(), inputs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return inputs;
}

// Of an empty batch Triton gives shapes without their batch dimension.
std::span<const int64_t> Gather::EmptyBatch(std::span<const int64_t> dims) {
  std::vector<int64_t>& whole = empty_batches_.emplace_back(1, 0);
  whole.insert(whole.end(), dims.begin(), dims.end());
  return whole;
}

// Triton only batches requests with equal inputs and shapes; here that is relied on, so it is checked.
void Gather::CheckAlike(const std::vector<std::pair<uint32_t, Input>>& inputs) const {
  const bool alike = records_.empty() || (binding_.batching && inputs.size() == columns_.size() &&
                                          std::equal(inputs.begin(), inputs.end(), columns_.begin(),
                                                     [](const auto& input, const Column& column) {
                                                       return input.first == column.tensor &&
                                                              RowsAlike(input.second.dims, column.dims);
                                                     }));
  if (!alike) {
    throw Failure(Code::kInternal, "the request was batched with one of other inputs or shapes");
  }
}

void Gather::AddInputs(const std::vector<std::pair<uint32_t, Input>>& inputs) {
  columns_.resize(inputs.size());
  for (size_t index = 0; index < inputs.size(); ++index) {
    const auto& [tensor, input] = inputs[index];
    Column& column = columns_[index];
    if (column.inputs.empty()) {
      column.tensor = tensor;
      column.datatype = input.datatype;
      column.dims.assign(input.dims.begin(), input.dims.end());
    } else {
      column.dims[0] += input.dims[0];
    }
    column.elements += ElementCount(input.dims);
    column.length += input.byte_size;
    column.inputs.push_back(input);
  }
}

void Gather::AddMeta(const BatchRequest& request) {
  const size_t begin = meta_.size();
  RequestRecord record{};
  record.rows = request.rows;
  record.meta_offset = begin;
  record.output_count = static_cast<uint32_t>(request.outputs.size());
  Append(meta_, request.outputs.data(), request.outputs.size() * sizeof(uint32_t));
  const char* id = nullptr;
  Check(TRITONBACKEND_RequestId(request.handle.get(), &id));
  record.id_length = static_cast<uint32_t>(id == nullptr ? 0 : std::strlen(id));
  Append(meta_, id, record.id_length);
  Check(TRITONBACKEND_RequestParameterCount(request.handle.get(), &record.parameter_count));
  for (uint32_t index = 0; index < record.parameter_count; ++index) {
    AppendParameter(meta_, request.handle.get(), index);
  }
  const std::string_view trace = TraceContext(request.handle.get());
  record.trace_length = static_cast<uint32_t>(trace.size());
  Append(meta_, trace.data(), trace.size());
  Check(TRITONBACKEND_InferenceRequestTimeoutMicroseconds(request.handle.get(), &record.timeout_us));
  record.meta_length = static_cast<uint32_t>(meta_.size() - begin);
  records_.push_back(record);
}

void Gather::LayOut() {
  inputs_offset_ = sizeof(BlockHeader) + records_.size() * sizeof(RequestRecord);
  meta_offset_ = inputs_offset_ + columns_.size() * sizeof(TensorRecord);
  uint64_t end = AlignUp(meta_offset_ + meta_.size());
  for (Column& column : columns_) {
    if (column.datatype == TRITONSERVER_TYPE_BYTES) {
      if (column.elements > kMostStrings) {
        throw Failure(Code::kUnsupported, "input \"" + binding_.inputs[column.tensor].name + "\": " +
                                              std::to_string(column.elements) + " strings in one batch");
      }
      column.length += kListHead + column.elements * (kStringHead - kLengthPrefix);
    }
    column.offset = end;
    end = AlignUp(end + column.length);
  }
  free_offset_ = end;
}

uint64_t Gather::BlockSize() const {
  const uint64_t records = (records_.size() + 1) * binding_.outputs.size();
  return free_offset_ + sizeof(ResultHeader) + records * (sizeof(TensorRecord) + kTensorAlignment);
}

uint64_t Gather::CopyInputs(std::byte* segment, const Block& block, uint64_t received_ns) const {
  std::byte* const start = segment + block.offset;
  BlockHeader header{};
  header.request_count = static_cast<uint32_t>(records_.size());
  header.input_count = static_cast<uint32_t>(columns_.size());
  header.rows = rows_;
  header.requests_offset = block.offset + sizeof(BlockHeader);
  header.inputs_offset = block.offset + inputs_offset_;
  header.free_offset = block.offset + free_offset_;
  header.free_length = block.length - free_offset_;
  header.received_ns = received_ns;
  std::memcpy(start, &header, sizeof(header));

  std::byte* to = start + sizeof(header);
  for (RequestRecord record : records_) {
    record.meta_offset += block.offset + meta_offset_;
    std::memcpy(to, &record, sizeof(record));
    to += sizeof(record);
  }
  uint64_t copied = 0;
  for (const Column& column : columns_) {
    TensorRecord record{};
    record.tensor = column.tensor;
    record.request = kAllRequests;
    record.datatype = column.datatype;
    record.rank = static_cast<uint32_t>(column.dims.size());
    record.offset = block.offset + column.offset;
    record.length = column.length;
    std::copy(column.dims.begin(), column.dims.end(), record.dims);
    std::memcpy(to, &record, sizeof(record));
    to += sizeof(record);
    copied += CopyColumn(column, start + column.offset);
  }
  if (!meta_.empty()) {
    std::memcpy(to, meta_.data(), meta_.size());
  }
  return copied;
}

uint64_t Gather::CopyColumn(const Column& column, std::byte* to) const {
  if (column.datatype != TRITONSERVER_TYPE_BYTES) {
    uint64_t copied = 0;
    for (const Input& input : column.inputs) {
      InputReader(input).Read(to + copied, input.byte_size);
      copied += input.byte_size;
    }
    return copied;
  }
  const auto elements = static_cast<uint32_t>(column.elements);
  to[0] = std::byte{kListTag};
  std::memcpy(to + 1, &elements, sizeof(elements));
  std::span<std::byte> rest(to + kListHead, column.length - kListHead);
  for (const Input& input : column.inputs) {
    rest = CopyStrings(input, ElementCount(input.dims), rest);
  }
  return column.length - kListHead - elements * kStringHead;
}

}  // namespace pytriton
