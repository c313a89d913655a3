// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "backend/error.h"
#include "backend/request_gate.h"
#include "core/results.h"
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

  void SetParameter(const ResponseParameter& parameter) {
    const char* const key = parameter.key.c_str();
    if (const auto* text = std::get_if<std::string>(&parameter.value)) {
      Check(TRITONBACKEND_ResponseSetStringParameter(handle_, key, text->c_str()));
    } else if (const auto* number = std::get_if<int64_t>(&parameter.value)) {
      Check(TRITONBACKEND_ResponseSetIntParameter(handle_, key, *number));
    } else if (const auto* flag = std::get_if<bool>(&parameter.value)) {
      Check(TRITONBACKEND_ResponseSetBoolParameter(handle_, key, *flag));
    } else {
      Check(TRITONBACKEND_ResponseSetDoubleParameter(handle_, key, std::get<double>(parameter.value)));
    }
  }

  void Send(uint32_t flags) {
    Ignore(TRITONBACKEND_ResponseSend(std::exchange(handle_, nullptr), flags, nullptr));
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

// Ends a stream of responses without one more.
class ResponseFactory {
 public:
  explicit ResponseFactory(TRITONBACKEND_Request* request) {
    Check(TRITONBACKEND_ResponseFactoryNew(&handle_, request));
  }
  ResponseFactory(const ResponseFactory&) = delete;
  ResponseFactory& operator=(const ResponseFactory&) = delete;
  ~ResponseFactory() { Ignore(TRITONBACKEND_ResponseFactoryDelete(handle_)); }

  TRITONBACKEND_ResponseFactory* get() const { return handle_; }
  void SendFinal() {
    Ignore(TRITONBACKEND_ResponseFactorySendFlags(handle_, TRITONSERVER_RESPONSE_COMPLETE_FINAL));
  }

 private:
  TRITONBACKEND_ResponseFactory* handle_ = nullptr;
};

// A request that Triton gave us: answered and given back, whatever happens. It has one answer, or any number
// of responses and then an end.
class Request {
 public:
  explicit Request(TRITONBACKEND_Request* handle) : handle_(handle) {}
  Request(Request&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        factory_(std::move(other.factory_)),
        answered_(other.answered_),
        succeeded_(other.succeeded_) {}
  Request& operator=(Request&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(factory_, other.factory_);
    std::swap(answered_, other.answered_);
    std::swap(succeeded_, other.succeeded_);
    return *this;
  }
  ~Request() { Release(); }

  // Gives it back before its time.
  void Release() noexcept {
    if (handle_ == nullptr) {
      return;
    }
    Fail(Failure(Code::kInternal, "the request was dropped"));
    factory_.reset();
    LeaveLimit(handle_);
    Ignore(TRITONBACKEND_RequestRelease(std::exchange(handle_, nullptr), TRITONSERVER_REQUEST_RELEASE_ALL));
  }

  TRITONBACKEND_Request* get() const { return handle_; }
  bool answered() const { return answered_; }
  bool succeeded() const { return succeeded_; }

  // Whether the client wants no answer any more, or has gone.
  bool IsCancelled() const {
    bool cancelled = false;
    Ignore(TRITONBACKEND_RequestIsCancelled(handle_, &cancelled));
    return cancelled;
  }

  void Answer(Response& response) {
    answered_ = succeeded_ = true;
    response.Send(TRITONSERVER_RESPONSE_COMPLETE_FINAL);
  }

  // Prepares for any number of responses.
  void OpenStream() { factory_ = std::make_unique<ResponseFactory>(handle_); }
  void Send(Response& response) { response.Send(0); }
  void End() {
    if (!answered_) {
      answered_ = succeeded_ = true;
      factory_->SendFinal();
    }
  }
  // Null without OpenStream.
  const ResponseFactory* factory() const { return factory_.get(); }

  void Fail(const Failure& failure) noexcept {
    if (answered_) {
      return;
    }
    answered_ = true;
    Ignore(Guard([&] {
      Response response(handle_);
      if (factory_ == nullptr) {
        Ignore(Guard([&] { response.KeepOutOfCache(handle_); }));
      }
      response.SendError(failure);
    }));
  }

 private:
  TRITONBACKEND_Request* handle_;
  std::unique_ptr<ResponseFactory> factory_;
  bool answered_ = false;
  bool succeeded_ = false;
};

}  // namespace pytriton
