// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "pytriton/shm_layout.h"

namespace pytriton {

// Packets from a worker, checked. Throw ProtocolError.
Hello DecodeHello(std::span<const std::byte> packet);
Message DecodeMessage(std::span<const std::byte> packet);

Message MakeMessage(Kind kind, uint64_t slot = 0, uint64_t offset = 0, uint64_t length = 0);
// The last packet that a worker gets which was refused: the message, and why.
std::vector<std::byte> MakeRejection(std::string_view reason);

}  // namespace pytriton
