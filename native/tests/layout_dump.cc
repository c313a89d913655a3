// SPDX-License-Identifier: Apache-2.0
//
// Prints as JSON what the C++ side believes: the layout of shared memory, the numbers of the protocol and of
// Triton's ABI.
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "core/failure.h"
#include "core/results.h"
#include "pytriton/shm_layout.h"
#include "pytriton/triton_abi.h"

namespace {

using namespace pytriton;

using Number = std::pair<const char*, uint64_t>;

template <size_t count>
void PrintNumbers(const char* name, const Number (&numbers)[count]) {
  std::printf("  \"%s\": {", name);
  for (size_t index = 0; index < count; ++index) {
    std::printf("%s\"%s\": %" PRIu64, index == 0 ? "" : ", ", numbers[index].first, numbers[index].second);
  }
  std::printf("},\n");
}

#define NUMBER(name)                   \
  Number {                             \
    #name, static_cast<uint64_t>(name) \
  }
#define KIND(name)                           \
  Number {                                   \
    #name, static_cast<uint64_t>(Kind::name) \
  }
#define SIZE(name)      \
  Number {              \
    #name, sizeof(name) \
  }

constexpr Number kConstants[] = {
    NUMBER(kMagic),           NUMBER(kProtocolVersion),  NUMBER(kMaxRank),       NUMBER(kAllRequests),
    NUMBER(kTensorAlignment), NUMBER(kListTag),          NUMBER(kStringTag),     NUMBER(kListHead),
    NUMBER(kStringHead),      NUMBER(kMostStrings),      NUMBER(kLongestString), NUMBER(kFlagFinal),
    NUMBER(kFlagReleased),    NUMBER(kRequestCancelled), NUMBER(kResponseNone),  NUMBER(kResponseLast),
    NUMBER(kLimitOfWorker),   NUMBER(kLimitOfModel),     NUMBER(kLimitOfAll)};
constexpr Number kKinds[] = {KIND(kWelcome), KIND(kReject),    KIND(kExecute), KIND(kReserved),
                             KIND(kRefused), KIND(kResult),    KIND(kReserve), KIND(kRelease),
                             KIND(kSynced),  KIND(kCancelled), KIND(kSync)};
constexpr Number kParameterTypes[] = {
    Number{"kString", uint64_t(ParameterType::kString)}, Number{"kInt", uint64_t(ParameterType::kInt)},
    Number{"kBool", uint64_t(ParameterType::kBool)}, Number{"kDouble", uint64_t(ParameterType::kDouble)}};
constexpr Number kSizes[] = {SIZE(Hello),        SIZE(Message),      SIZE(BlockHeader), SIZE(RequestRecord),
                             SIZE(TensorRecord), SIZE(ResultHeader), SIZE(ErrorRecord), SIZE(ResponseRecord)};
constexpr Number kApiVersion[] = {NUMBER(kRequiredApiMajor), NUMBER(kRequiredApiMinor)};
constexpr Number kMemoryTypes[] = {NUMBER(TRITONSERVER_MEMORY_CPU), NUMBER(TRITONSERVER_MEMORY_CPU_PINNED),
                                   NUMBER(TRITONSERVER_MEMORY_GPU)};
constexpr Number kTritonParameterTypes[] = {
    NUMBER(TRITONSERVER_PARAMETER_STRING), NUMBER(TRITONSERVER_PARAMETER_INT),
    NUMBER(TRITONSERVER_PARAMETER_BOOL), NUMBER(TRITONSERVER_PARAMETER_DOUBLE),
    NUMBER(TRITONSERVER_PARAMETER_BYTES)};
constexpr Number kErrorCodes[] = {
    NUMBER(TRITONSERVER_ERROR_UNKNOWN),        NUMBER(TRITONSERVER_ERROR_INTERNAL),
    NUMBER(TRITONSERVER_ERROR_NOT_FOUND),      NUMBER(TRITONSERVER_ERROR_INVALID_ARG),
    NUMBER(TRITONSERVER_ERROR_UNAVAILABLE),    NUMBER(TRITONSERVER_ERROR_UNSUPPORTED),
    NUMBER(TRITONSERVER_ERROR_ALREADY_EXISTS), NUMBER(TRITONSERVER_ERROR_CANCELLED)};
constexpr Number kLogLevels[] = {NUMBER(TRITONSERVER_LOG_INFO), NUMBER(TRITONSERVER_LOG_WARN),
                                 NUMBER(TRITONSERVER_LOG_ERROR), NUMBER(TRITONSERVER_LOG_VERBOSE)};
constexpr Number kDataTypes[] = {
    NUMBER(TRITONSERVER_TYPE_INVALID), NUMBER(TRITONSERVER_TYPE_BOOL),   NUMBER(TRITONSERVER_TYPE_UINT8),
    NUMBER(TRITONSERVER_TYPE_UINT16),  NUMBER(TRITONSERVER_TYPE_UINT32), NUMBER(TRITONSERVER_TYPE_UINT64),
    NUMBER(TRITONSERVER_TYPE_INT8),    NUMBER(TRITONSERVER_TYPE_INT16),  NUMBER(TRITONSERVER_TYPE_INT32),
    NUMBER(TRITONSERVER_TYPE_INT64),   NUMBER(TRITONSERVER_TYPE_FP16),   NUMBER(TRITONSERVER_TYPE_FP32),
    NUMBER(TRITONSERVER_TYPE_FP64),    NUMBER(TRITONSERVER_TYPE_BYTES),  NUMBER(TRITONSERVER_TYPE_BF16)};

static_assert(uint64_t(Code::kCancelled) == TRITONSERVER_ERROR_CANCELLED);

}  // namespace

int main() {
  std::printf("{\n  \"layout_hash\": %" PRIu64 ",\n", LayoutHash());
  PrintNumbers("constants", kConstants);
  PrintNumbers("kinds", kKinds);
  PrintNumbers("parameter_types", kParameterTypes);
  PrintNumbers("sizes", kSizes);
  PrintNumbers("required_api", kApiVersion);
  PrintNumbers("memory_types", kMemoryTypes);
  PrintNumbers("triton_parameter_types", kTritonParameterTypes);
  PrintNumbers("error_codes", kErrorCodes);
  PrintNumbers("log_levels", kLogLevels);
  PrintNumbers("data_types", kDataTypes);
  std::printf("  \"element_sizes\": {");
  for (const Number& type : kDataTypes) {
    std::printf("%s\"%s\": %u", type.second == 0 ? "" : ", ", type.first,
                ElementSize(static_cast<uint32_t>(type.second)));
  }
  std::printf("},\n  \"fields\": [");
  for (const Field& field : kLayout) {
    std::printf("%s\n    [\"%s\", \"%s\", %u, %u]", &field == kLayout ? "" : ",", field.structure, field.name,
                field.offset, field.size);
  }
  std::printf("\n  ]\n}\n");
}
