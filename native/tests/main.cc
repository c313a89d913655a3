// SPDX-License-Identifier: Apache-2.0
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "children.h"
#include "fake_triton.h"

int main(int argc, char** argv) {
  using pytriton::testing::TheHost;
  if (const auto status = pytriton::testing::RunAsChild(argc, argv)) {
    return *status;
  }
  doctest::Context context(argc, argv);
  const int status = context.run();
  if (TheHost().live_errors != 0 || TheHost().live_responses != 0 || TheHost().live_factories != 0) {
    std::fprintf(stderr, "%d errors, %d responses and %d factories of Triton were never given back\n",
                 TheHost().live_errors.load(), TheHost().live_responses.load(),
                 TheHost().live_factories.load());
    return 1;
  }
  return status;
}
