// SPDX-License-Identifier: Apache-2.0
//
// What the backend and a worker say to each other: the packets on the socket and the structures in shared
// memory. Stated here once; pytriton/worker/layout.py mirrors it, a contract test compares the two field by
// field, and the handshake carries a hash of it. Integers are native-endian; offsets count from the start of
// the worker's segment.
//
// BYTES tensors, both ways: a list of bytes as Python's marshal module writes it, which reads and writes all
// strings in one call: kListTag, u32 count, then for each string kStringTag, u32 length, the data. Nothing is
// padded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace pytriton {

inline constexpr uint64_t kMagic = 0x31574e4f54525450;  // "PTRTONW1"
inline constexpr uint32_t kProtocolVersion = 2;
inline constexpr uint32_t kMaxRank = 16;
inline constexpr uint32_t kAllRequests = 0xffffffff;
inline constexpr uint64_t kTensorAlignment = 64;

// BYTES tensors.
inline constexpr uint8_t kListTag = '[';
inline constexpr uint8_t kStringTag = 's';
inline constexpr uint64_t kListHead = 5;                // bytes of a tag and a count
inline constexpr uint64_t kStringHead = 5;              // bytes of a tag and a length
inline constexpr uint64_t kMostStrings = 0x7fffffff;    // in a list
inline constexpr uint64_t kLongestString = 0x7fffffff;  // that marshal reads

enum class Kind : uint32_t {
  kWelcome = 1,   // length: bytes of the segment, whose descriptor comes with the packet
  kReject = 2,    // followed by the reason, UTF-8
  kExecute = 3,   // slot; offset, length: its block, which starts with a BlockHeader
  kReserved = 4,  // slot; offset, length: one more block for its results
  kRefused = 5,   // slot; length: the limit that stood in the way; flags: whose it is; offset: bytes that the
                  // batch would need in all
  kSynced = 6,    // slot: every result sent before the kSync that this answers has been dealt with
  kCancelled = 7,  // slot: requests of it were cancelled; which ones, their records say
  kResult =
      16,  // slot; offset, length: a ResultHeader and its records; begin_ns, end_ns: around the function
  kReserve = 17,  // slot; length: bytes wanted
  kRelease = 18,  // slot: nothing in the worker refers to it any more
  kSync = 19,     // slot: wants kSynced, to use the memory of earlier results again
};

// kRefused: flags.
inline constexpr uint32_t kLimitOfWorker = 0;
inline constexpr uint32_t kLimitOfModel = 1;
inline constexpr uint32_t kLimitOfAll = 2;

inline constexpr uint32_t kFlagFinal = 1;  // kResult: the last one of its batch; a length of 0 only ends it
inline constexpr uint32_t kFlagReleased = 2;  // kResult: stands for a kRelease too

inline constexpr uint32_t kRequestCancelled = 1;  // RequestRecord; set at any time

inline constexpr uint32_t kResponseNone = 1;  // ResponseRecord: the request gets no response this time
inline constexpr uint32_t kResponseLast = 2;  // ResponseRecord: and none any more, whatever others get

enum class ParameterType : uint32_t { kString = 0, kInt = 1, kBool = 2, kDouble = 3 };

// First packet of a worker. With a capacity of 0 the only one of a connection, which tells that the worker
// with the same token leaves: it is given no more batches, and its own connection ends after its last one.
struct Hello {
  uint64_t magic;
  uint32_t version;
  uint32_t capacity;  // batches it takes at a time
  uint64_t layout_hash;
  uint64_t token;  // of the worker's choice; 0: none
};

// Every later packet, both ways.
struct Message {
  uint32_t kind;
  uint32_t flags;
  uint64_t slot;
  uint64_t offset;
  uint64_t length;
  uint64_t begin_ns;
  uint64_t end_ns;
};

// Start of the block of one batch.
struct BlockHeader {
  uint32_t request_count;
  uint32_t input_count;
  uint64_t rows;
  uint64_t requests_offset;  // RequestRecord[request_count]
  uint64_t inputs_offset;    // TensorRecord[input_count]
  uint64_t free_offset;      // what the worker may write results into
  uint64_t free_length;
  uint64_t received_ns;    // when the batch left the server's queue, CLOCK_MONOTONIC
  uint64_t results_taken;  // how many results the server has dealt with; counts while the batch is in work
};

// timeout_us: counts from when the request came; 0: none. meta: u32 indices of the requested outputs, the
// request id, then parameters, each { u32 key_length, u32 ParameterType, u32 value_length, key, value }, then
// the context of the server's trace, JSON with W3C headers, if the server traces the request; nothing is
// padded.
struct RequestRecord {
  uint64_t rows;
  uint64_t timeout_us;
  uint64_t correlation_id;
  uint64_t meta_offset;
  uint32_t meta_length;
  uint32_t output_count;
  uint32_t id_length;
  uint32_t parameter_count;
  uint32_t flags;
  uint32_t trace_length;
  uint64_t reserved;
};

struct TensorRecord {
  uint32_t tensor;   // index in the declared order
  uint32_t request;  // index, or kAllRequests for the whole batch
  uint32_t datatype;
  uint32_t rank;
  uint64_t offset;
  uint64_t length;
  int64_t dims[kMaxRank];
};

// Followed by its records: TensorRecord, ErrorRecord, ResponseRecord.
struct ResultHeader {
  uint32_t tensor_count;
  uint32_t error_count;
  uint32_t response_count;
  uint32_t reserved;
};

struct ErrorRecord {
  uint32_t request;
  uint32_t code;
  uint64_t offset;
  uint64_t length;
};

// What there is to say of a request's response besides its outputs; optional. meta: parameters, as in a
// RequestRecord.
struct ResponseRecord {
  uint32_t request;
  uint32_t flags;
  uint64_t meta_offset;
  uint32_t meta_length;
  uint32_t parameter_count;
};

struct Field {
  const char* structure;
  const char* name;
  uint32_t offset;
  uint32_t size;
};

#define PYTRITON_FIELD(structure, name)                                                          \
  Field {                                                                                        \
    #structure, #name, static_cast<uint32_t>(offsetof(structure, name)), sizeof(structure::name) \
  }

inline constexpr Field kLayout[] = {
    PYTRITON_FIELD(Hello, magic),
    PYTRITON_FIELD(Hello, version),
    PYTRITON_FIELD(Hello, capacity),
    PYTRITON_FIELD(Hello, layout_hash),
    PYTRITON_FIELD(Hello, token),
    PYTRITON_FIELD(Message, kind),
    PYTRITON_FIELD(Message, flags),
    PYTRITON_FIELD(Message, slot),
    PYTRITON_FIELD(Message, offset),
    PYTRITON_FIELD(Message, length),
    PYTRITON_FIELD(Message, begin_ns),
    PYTRITON_FIELD(Message, end_ns),
    PYTRITON_FIELD(BlockHeader, request_count),
    PYTRITON_FIELD(BlockHeader, input_count),
    PYTRITON_FIELD(BlockHeader, rows),
    PYTRITON_FIELD(BlockHeader, requests_offset),
    PYTRITON_FIELD(BlockHeader, inputs_offset),
    PYTRITON_FIELD(BlockHeader, free_offset),
    PYTRITON_FIELD(BlockHeader, free_length),
    PYTRITON_FIELD(BlockHeader, received_ns),
    PYTRITON_FIELD(BlockHeader, results_taken),
    PYTRITON_FIELD(RequestRecord, rows),
    PYTRITON_FIELD(RequestRecord, timeout_us),
    PYTRITON_FIELD(RequestRecord, correlation_id),
    PYTRITON_FIELD(RequestRecord, meta_offset),
    PYTRITON_FIELD(RequestRecord, meta_length),
    PYTRITON_FIELD(RequestRecord, output_count),
    PYTRITON_FIELD(RequestRecord, id_length),
    PYTRITON_FIELD(RequestRecord, parameter_count),
    PYTRITON_FIELD(RequestRecord, flags),
    PYTRITON_FIELD(RequestRecord, trace_length),
    PYTRITON_FIELD(RequestRecord, reserved),
    PYTRITON_FIELD(TensorRecord, tensor),
    PYTRITON_FIELD(TensorRecord, request),
    PYTRITON_FIELD(TensorRecord, datatype),
    PYTRITON_FIELD(TensorRecord, rank),
    PYTRITON_FIELD(TensorRecord, offset),
    PYTRITON_FIELD(TensorRecord, length),
    PYTRITON_FIELD(TensorRecord, dims),
    PYTRITON_FIELD(ResultHeader, tensor_count),
    PYTRITON_FIELD(ResultHeader, error_count),
    PYTRITON_FIELD(ResultHeader, response_count),
    PYTRITON_FIELD(ResultHeader, reserved),
    PYTRITON_FIELD(ErrorRecord, request),
    PYTRITON_FIELD(ErrorRecord, code),
    PYTRITON_FIELD(ErrorRecord, offset),
    PYTRITON_FIELD(ErrorRecord, length),
    PYTRITON_FIELD(ResponseRecord, request),
    PYTRITON_FIELD(ResponseRecord, flags),
    PYTRITON_FIELD(ResponseRecord, meta_offset),
    PYTRITON_FIELD(ResponseRecord, meta_length),
    PYTRITON_FIELD(ResponseRecord, parameter_count),
};
#undef PYTRITON_FIELD

// FNV-1a over the offset and size of every field: what the two sides compare before they share memory.
constexpr uint64_t LayoutHash() {
  uint64_t hash = 0xcbf29ce484222325;
  for (const Field& field : kLayout) {
    for (const uint32_t number : {field.offset, field.size}) {
      for (int shift = 0; shift < 32; shift += 8) {
        hash = (hash ^ ((number >> shift) & 0xff)) * 0x100000001b3;
      }
    }
  }
  return hash;
}

static_assert(sizeof(Hello) == 32 && sizeof(Message) == 48 && sizeof(BlockHeader) == 64);
static_assert(sizeof(RequestRecord) == 64 && sizeof(TensorRecord) == 160);
static_assert(sizeof(ResultHeader) == 16 && sizeof(ErrorRecord) == 24 && sizeof(ResponseRecord) == 24);

}  // namespace pytriton
