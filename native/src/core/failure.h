// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace pytriton {

// The codes of TRITONSERVER_Error_Code, for the part of the code that knows no Triton.
enum class Code : uint32_t {
  kUnknown = 0,
  kInternal = 1,
  kNotFound = 2,
  kInvalidArgument = 3,
  kUnavailable = 4,
  kUnsupported = 5,
  kAlreadyExists = 6,
  kCancelled = 7,
};

// What went wrong, for whoever sent the request or loads the model.
class Failure : public std::runtime_error {
 public:
  Failure(Code code, const std::string& what) : std::runtime_error(what), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

// A limit of this process stands in the way, and will until somebody changes it.
class NoRoom : public Failure {
 public:
  explicit NoRoom(const std::string& what) : Failure(Code::kUnavailable, what) {}
};

// A worker said something that the protocol does not allow. Its connection is not kept.
class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An errno that nobody expected.
Failure SystemFailure(const std::string& doing);

}  // namespace pytriton
