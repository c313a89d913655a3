// SPDX-License-Identifier: Apache-2.0
#include "backend/binding.h"

#include <doctest/doctest.h>

#include <string>

#include "core/failure.h"
#include "pytriton/triton_abi.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::TemporaryDirectory;

Binding Parse(const std::string& text) {
  const TemporaryDirectory directory;
  testing::WriteFile(directory / "binding", text);
  return Binding::Read(directory / "binding");
}

std::string ComplaintAbout(const std::string& lines) {
  try {
    Parse("pytriton-binding 1\nkind model\nsocket /s\nmemory-limit 4096\n" + lines);
  } catch (const Failure& failure) {
    CHECK(failure.code() == Code::kInvalidArgument);
    return failure.what();
  }
  return "no complaint";
}

}  // namespace

TEST_CASE("a binding is read as the app writes it") {
  const Binding binding = Parse(
      "pytriton-binding 1\n"
      "kind model\n"
      "socket /tmp/some where/7\n"
      "workers 2\n"
      "attach-timeout-ms 1500\n"
      "memory-limit 6442450944\n"
      "queue-policy 1\n"
      "batching 0\n"
      "input FP32 1 INPUT_1\n"
      "input BYTES 0 with spaces in it\n"
      "output BF16 16 é\n");
  CHECK_FALSE(binding.bootstrap);
  CHECK(binding.socket_path == "/tmp/some where/7");
  CHECK(binding.workers == 2);
  CHECK(binding.attach_timeout == std::chrono::milliseconds(1500));
  CHECK(binding.memory_limit == 6442450944);
  CHECK(binding.queue_policy);
  CHECK_FALSE(binding.batching);
  REQUIRE(binding.inputs.size() == 2);
  CHECK(binding.inputs[0].name == "INPUT_1");
  CHECK(binding.inputs[0].datatype == TRITONSERVER_TYPE_FP32);
  CHECK(binding.inputs[0].rank == 1);
  CHECK(binding.inputs[1].name == "with spaces in it");
  CHECK(binding.inputs[1].datatype == TRITONSERVER_TYPE_BYTES);
  REQUIRE(binding.outputs.size() == 1);
  CHECK(binding.outputs[0].name == "é");
  CHECK(binding.outputs[0].datatype == TRITONSERVER_TYPE_BF16);
}

TEST_CASE("every data type has the number that Triton gives it") {
  const char* const names[] = {"BOOL",  "UINT8", "UINT16", "UINT32", "UINT64", "INT8",  "INT16",
                               "INT32", "INT64", "FP16",   "FP32",   "FP64",   "BYTES", "BF16"};
  uint32_t number = 0;
  for (const char* name : names) {
    const Binding binding =
        Parse(std::string("pytriton-binding 1\nsocket /s\nmemory-limit 1\noutput ") + name + " 1 X\n");
    CHECK(binding.outputs.at(0).datatype == ++number);
  }
  CHECK(number == TRITONSERVER_TYPE_BF16);
}

TEST_CASE("a binding that only starts the control channel") {
  CHECK(Parse("pytriton-binding 1\nkind bootstrap\n").bootstrap);
}

TEST_CASE("a binding that cannot be meant is refused, with its line") {
  CHECK(ComplaintAbout("") == "no complaint");
  CHECK(Contains(ComplaintAbout("colour red\n"), ":5: unknown key \"colour\""));
  CHECK(Contains(ComplaintAbout("\n"), "unknown key"));
  CHECK(Contains(ComplaintAbout("workers\n"), "expected a number"));
  CHECK(Contains(ComplaintAbout("workers two\n"), "expected a number"));
  CHECK(Contains(ComplaintAbout("workers 4294967296\n"), "expected a number up to 4294967295"));
  CHECK(Contains(ComplaintAbout("workers -1\n"), "expected a number"));
  CHECK(Contains(ComplaintAbout("batching 2\n"), "expected a number up to 1"));
  CHECK(Contains(ComplaintAbout("memory-limit 9223372036854775808\n"), "expected a number"));
  CHECK(Contains(ComplaintAbout("memory-limit 99999999999999999999999\n"), "expected a number"));
  CHECK(Contains(ComplaintAbout("input FP31 1 X\n"), "unknown data type \"FP31\""));
  CHECK(Contains(ComplaintAbout("input INVALID 1 X\n"), "unknown data type"));
  CHECK(Contains(ComplaintAbout("input FP32 17 X\n"), "expected a number up to 16"));
  CHECK(Contains(ComplaintAbout("input FP32 1\n"), "expected a value"));
  CHECK(Contains(ComplaintAbout("input FP32 X\n"), "expected a number"));
  CHECK(Contains(ComplaintAbout("socket\n"), "expected a value"));
}

TEST_CASE("a tensor of sixteen dimensions has no room for the batch") {
  CHECK(ComplaintAbout("batching 0\ninput FP32 16 X\n") == "no complaint");
  CHECK(ComplaintAbout("batching 1\ninput FP32 15 X\n") == "no complaint");
  CHECK(Contains(ComplaintAbout("batching 1\ninput FP32 16 X\n"), "16 dimensions"));
  CHECK(Contains(ComplaintAbout("output FP32 16 X\n"), "16 dimensions"));
}

TEST_CASE("files that are no bindings") {
  CHECK_THROWS_AS(Binding::Read("/nowhere/binding"), Failure);
  CHECK_THROWS_AS(Parse(""), Failure);
  CHECK_THROWS_AS(Parse("pytriton-binding 2\n"), Failure);
  CHECK_THROWS_AS(Parse("pytriton-binding 1\nkind model\nsocket /s\n"), Failure);
  CHECK_THROWS_AS(Parse("pytriton-binding 1\nkind model\nmemory-limit 5\n"), Failure);
}

}  // namespace pytriton
