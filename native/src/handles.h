// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "error.h"
#include "pytriton/triton_abi.h"

namespace pytriton {

// One input of one request, as Triton describes it. Its memory is the request's.
struct Input {
  TRITONBACKEND_Input* handle = nullptr;
  const char* name = nullptr;
  TRITONSERVER_DataType datatype = TRITONSERVER_TYPE_INVALID;
  std::span<const int64_t> dims;
  uint64_t byte_size = 0;
  uint32_t buffer_count = 0;

  explicit Input(TRITONBACKEND_Input* input) : handle(input) {
    const int64_t* shape = nullptr;
    uint32_t rank = 0;
    Check(TRITONBACKEND_InputProperties(handle, &name, &datatype, &shape, &rank, &byte_size, &buffer_count));
    dims = {shape, rank};
  }

  // Throws when the data is where the processor cannot read it.
  std::span<const std::byte> Buffer(uint32_t index) const {
    const void* data = nullptr;
    uint64_t size = 0;
    TRITONSERVER_MemoryType memory_type = TRITONSERVER_MEMORY_CPU;
    int64_t memory_type_id = 0;
    Check(TRITONBACKEND_InputBuffer(handle, index, &data, &size, &memory_type, &memory_type_id));
    if (memory_type == TRITONSERVER_MEMORY_GPU) {
      throw Failure(Code::kUnsupported,
                    std::string("input \"") + name +
                        "\" is in GPU memory; send it in the request or in system shared memory");
    }
    return {static_cast<const std::byte*>(data), size};
  }
};

// A response under construction; sent, or deleted.
class Response {
 public:
  explicit Response(TRITONBACKEND_Request* request) { Check(TRITONBACKEND_ResponseNew(&handle_, request)); }
  Response(const Response&) = delete;
  Response& operator=(const Response&) = delete;
  ~Response() {
    if (handle_ != nullptr) {
      Ignore(TRITONBACKEND_ResponseDelete(handle_));
    }
  }

  // Memory of `size` bytes that Triton sends as this output.
  std::byte* AddOutput(const std::string& name, uint32_t datatype, std::span<const int64_t> dims,
                       uint64_t size) {
    TRITONBACKEND_Output* output = nullptr;
    Check(TRITONBACKEND_ResponseOutput(handle_, &output, name.c_str(),
                                       static_cast<TRITONSERVER_DataType>(datatype), dims.data(),
                                       static_cast<uint32_t>(dims.size())));
    void* buffer = nullptr;
    TRITONSERVER_MemoryType memory_type = TRITONSERVER_MEMORY_CPU;
    int64_t memory_type_id = 0;
    Check(TRITONBACKEND_OutputBuffer(output, &buffer, size, &memory_type, &memory_type_id));
    if (memory_type == TRITONSERVER_MEMORY_GPU) {
      throw Failure(Code::kUnsupported,
                    "output \"" + name +
                        "\" is wanted in GPU memory; ask for it in the response or in system "
                        "shared memory");
    }
    return static_cast<std::byte*>(buffer);
  }

  void Send() {
    Ignore(TRITONBACKEND_ResponseSend(std::exchange(handle_, nullptr), TRITONSERVER_RESPONSE_COMPLETE_FINAL,
                                      nullptr));
  }

  // Triton's response cache takes an error for an answer without outputs (seen in 2.51) and gives that to the
  // next who asks the same. An answer with an output that has no buffer it leaves alone.
  void KeepOutOfCache(TRITONBACKEND_Request* request) {
    uint32_t count = 0;
    Check(TRITONBACKEND_RequestOutputCount(request, &count));
    if (count > 0) {
      const char* name = nullptr;
      TRITONBACKEND_Output* output = nullptr;
      const int64_t dims[] = {0};
      Check(TRITONBACKEND_RequestOutputName(request, 0, &name));
      Check(TRITONBACKEND_ResponseOutput(handle_, &output, name, TRITONSERVER_TYPE_UINT8, dims, 1));
    }
  }

  void SendError(const Failure& failure) {
    TRITONSERVER_Error* error = MakeError(failure);
    Ignore(TRITONBACKEND_ResponseSend(std::exchange(handle_, nullptr), TRITONSERVER_RESPONSE_COMPLETE_FINAL,
                                      error));
    TRITONSERVER_ErrorDelete(error);
  }

 private:
  TRITONBACKEND_Response* handle_ = nullptr;
};

// A request that Triton gave us: answered once and given back, whatever happens.
class Request {
 public:
  explicit Request(TRITONBACKEND_Request* handle) : handle_(handle) {}
  Request(Request&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        answered_(other.answered_),
        succeeded_(other.succeeded_) {}
  Request& operator=(Request&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(answered_, other.answered_);
    std::swap(succeeded_, other.succeeded_);
    return *this;
  }
  ~Request() {
    if (handle_ != nullptr) {
      if (!answered_) {
        Fail(Failure(Code::kInternal, "the request was dropped"));
      }
      Ignore(TRITONBACKEND_RequestRelease(handle_, TRITONSERVER_REQUEST_RELEASE_ALL));
    }
  }

  TRITONBACKEND_Request* get() const { return handle_; }
  bool answered() const { return answered_; }
  bool succeeded() const { return succeeded_; }

  void Answer(Response& response) {
    answered_ = succeeded_ = true;
    response.Send();
  }

  void Fail(const Failure& failure) noexcept {
    if (answered_) {
      return;
    }
    answered_ = true;
    Ignore(Guard([&] {
      Response response(handle_);
      Ignore(Guard([&] { response.KeepOutOfCache(handle_); }));
      response.SendError(failure);
    }));
  }

 private:
  TRITONBACKEND_Request* handle_;
  bool answered_ = false;
  bool succeeded_ = false;
};

}  // namespace pytriton
