// SPDX-License-Identifier: Apache-2.0
//
// Everything that a worker writes into shared memory: the table of results, its records, the strings, and
// what becomes of them in responses. The input is a few choices, a message, and the memory of the slot.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "backend/gather.h"
#include "backend/scatter.h"
#include "core/failure.h"
#include "core/results.h"
#include "fake_triton.h"
#include "fuzz.h"
#include "result_writer.h"

// Its macros do nothing where the sanitizer is off.
#include <sanitizer/asan_interface.h>

namespace pytriton::testing {

namespace {

constexpr uint64_t kBlockSize = 2048;
constexpr uint64_t kGap = 1024;
constexpr uint64_t kMemory = kBlockSize + kGap + kBlockSize;

struct Choices {
  uint8_t decoupled;
  uint8_t batching;
  uint8_t requests;
  uint8_t outputs;
  uint8_t rows[8];
};

// The memory of a slot of two blocks; nobody may read what lies between them.
class SlotMemory {
 public:
  explicit SlotMemory(std::span<const uint8_t> content) : bytes_(kMemory) {
    if (!content.empty()) {
      std::memcpy(bytes_.data(), content.data(), std::min<size_t>(content.size(), bytes_.size()));
    }
    ASAN_POISON_MEMORY_REGION(bytes_.data() + kBlockSize, kGap);
  }
  ~SlotMemory() { ASAN_UNPOISON_MEMORY_REGION(bytes_.data() + kBlockSize, kGap); }
  SlotMemory(const SlotMemory&) = delete;
  SlotMemory& operator=(const SlotMemory&) = delete;

  SlotView view() const { return {bytes_.data(), blocks_}; }

 private:
  std::vector<std::byte> bytes_;
  std::vector<Block> blocks_{{0, kBlockSize}, {kBlockSize + kGap, kBlockSize}};
};

FuzzInput Seed(const Choices& choices, const ResultWriter& results) {
  std::vector<std::byte> memory(kMemory);
  const Message message = results.Write(memory.data(), {0, kBlockSize});
  FuzzInput input;
  Put(input, choices);
  Put(input, message);
  const auto* bytes = reinterpret_cast<const uint8_t*>(memory.data());
  input.insert(input.end(), bytes, bytes + 1200);
  return input;
}

}  // namespace

std::vector<FuzzInput> FuzzSeeds() {
  constexpr uint32_t kInt32 = TRITONSERVER_TYPE_INT32;
  return {
      Seed({0, 1, 2, 2, {2, 1}}, ResultWriter()
                                     .Add(0, kAllRequests, kInt32, {3, 2}, Pack<int32_t>({1, 2, 3, 4, 5, 6}))
                                     .AddStrings(1, kAllRequests, {3}, {"a", "", "ccc"})),
      Seed({0, 1, 3, 1, {1, 0, 2}}, ResultWriter()
                                        .AddStrings(0, 0, {1, 2}, {"one", "two"})
                                        .AddStrings(0, 1, {0, 2}, {})
                                        .AddError(2, 3, "this went wrong")),
      Seed({0, 0, 1, 2, {1}},
           ResultWriter().Add(0, kAllRequests, kInt32, {}, Pack<int32_t>({7})).AddError(0, 1, "")),
      Seed({0, 1, 1, 1, {4}}, ResultWriter().AddError(kAllRequests, 1, "all of it went wrong")),
      Seed({1, 1, 2, 1, {1, 1}},
           ResultWriter()
               .Add(0, 0, kInt32, {1, 1}, Pack<int32_t>({7}))
               .AddResponse(0, kResponseLast,
                            PackParameter("flag", ParameterType::kBool, std::string(1, 1)) +
                                PackParameter("text", ParameterType::kString, "value"),
                            2)
               .AddResponse(1, kResponseNone)),
      Seed({0, 1, 2, 3, {0, 0}}, ResultWriter().Add(2, kAllRequests, kInt32, {0, 5}, {})),
  };
}

}  // namespace pytriton::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pytriton;
  using namespace pytriton::testing;
  FuzzReader reader({data, size});
  const auto choices = reader.Read<Choices>();
  const auto message = reader.Read<Message>();
  const SlotMemory memory(reader.Rest());

  Binding binding;
  binding.batching = choices.batching % 2 == 1;
  binding.decoupled = choices.decoupled % 2 == 1;
  for (uint32_t output = 0; output < choices.outputs % 4u; ++output) {
    binding.outputs.push_back({"OUTPUT", TRITONSERVER_TYPE_INT32, 1});
  }
  std::vector<BatchRequest> requests;
  std::vector<std::shared_ptr<Outcome>> outcomes;
  std::vector<uint64_t> rows;
  uint64_t total = 0;
  for (uint32_t index = 0; index < choices.requests % 8u + 1; ++index) {
    rows.push_back(binding.batching ? choices.rows[index] : 1);
    total += rows.back();
    auto request = std::make_unique<TRITONBACKEND_Request>();
    outcomes.push_back(request->outcome);
    std::vector<uint32_t> wanted(binding.outputs.size());
    for (uint32_t output = 0; output < wanted.size(); ++output) {
      wanted[output] = output;
    }
    requests.push_back({Request(request.release()), rows.back(), wanted});
    if (binding.decoupled) {
      requests.back().handle.OpenStream();
    }
  }
  try {
    const ResultTable results(memory.view(), message,
                              {rows, total, static_cast<uint32_t>(binding.outputs.size()), binding.batching});
    Scatter(binding, memory.view(), results, requests);
    for (BatchRequest& request : requests) {
      if (binding.decoupled) {
        request.handle.End();
      }
    }
  } catch (const ProtocolError&) {
    // What a batch does then.
    for (BatchRequest& request : requests) {
      request.handle.Fail(Failure(Code::kUnavailable, "gone"));
    }
  }
  requests.clear();
  for (const auto& outcome : outcomes) {
    const int most = binding.decoupled ? 2 : 1;  // a response, and then perhaps an error
    if (outcome->finals != 1 || outcome->responses > most || outcome->releases != 1) {
      std::abort();
    }
  }
  return 0;
}
