// SPDX-License-Identifier: Apache-2.0
//
// A fuzz target without libFuzzer: runs the files and folders it is given; with no arguments its seeds, and a
// fixed number of variations of them.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "fuzz.h"

namespace {

using pytriton::testing::FuzzInput;

constexpr uint32_t kVariations = 3000;

void Run(const FuzzInput& input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

void RunFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Run(FuzzInput(std::istreambuf_iterator<char>(file), {}));
}

FuzzInput Vary(FuzzInput input, std::mt19937& random) {
  constexpr uint64_t kNumbers[] = {0,    1,          2,          16,         63,         64,   4095,
                                   4096, 0x7fffffff, 0xffffffff, 1ull << 62, ~0ull >> 1, ~0ull};
  for (uint32_t change = random() % 4 + 1; change > 0 && !input.empty(); --change) {
    const size_t place = random() % input.size();
    switch (random() % 5) {
      case 0:
        input[place] = static_cast<uint8_t>(random());
        break;
      case 1:
        input[place] = static_cast<uint8_t>(input[place] ^ (1u << random() % 8));
        break;
      case 2: {
        const uint64_t number = kNumbers[random() % std::size(kNumbers)] + random() % 3 - 1;
        std::memcpy(&input[place], &number,
                    std::min<size_t>(random() % 2 == 0 ? 4 : 8, input.size() - place));
        break;
      }
      case 3:
        input.resize(place);
        break;
      default:
        input.insert(input.begin() + static_cast<ptrdiff_t>(place), random() % 64,
                     static_cast<uint8_t>(random()));
        break;
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  for (int index = 1; index < argc; ++index) {
    if (std::filesystem::is_directory(argv[index])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[index])) {
        RunFile(entry.path());
      }
    } else {
      RunFile(argv[index]);
    }
  }
  if (argc > 1) {
    return 0;
  }
  std::mt19937 random(1);
  const auto seeds = pytriton::testing::FuzzSeeds();
  for (const FuzzInput& seed : seeds) {
    Run(seed);
  }
  for (uint32_t count = 0; count < kVariations; ++count) {
    Run(Vary(seeds[random() % seeds.size()], random));
  }
  std::printf("%zu seeds and %u variations of them\n", seeds.size(), kVariations);
}
