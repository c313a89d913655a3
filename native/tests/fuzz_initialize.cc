// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer asks this first: the seeds go into every folder that it is given.
#include <filesystem>
#include <fstream>
#include <string>

#include "fuzz.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int index = 1; index < *argc; ++index) {
    const std::string argument = (*argv)[index];
    if (!std::filesystem::is_directory(argument)) {
      continue;
    }
    int number = 0;
    for (const pytriton::testing::FuzzInput& seed : pytriton::testing::FuzzSeeds()) {
      std::ofstream(argument + "/seed-" + std::to_string(number++), std::ios::binary)
          .write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    }
  }
  return 0;
}
