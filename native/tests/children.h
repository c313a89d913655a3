// SPDX-License-Identifier: Apache-2.0
//
// Parts that need a process of their own: this program starts itself again, with the part's name as its
// argument.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pytriton::testing {

// Plays the part that the arguments name; nothing when they name none.
std::optional<int> RunAsChild(int argc, char** argv);

// A process that plays a part. It is ended with its owner, if it has not ended before.
class Child {
 public:
  // The descriptors are inherited, and no others; the variables are added to the environment.
  Child(const std::string& part, const std::vector<int>& descriptors,
        const std::map<std::string, std::string>& environment);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // Its wait status, if it ends within so many milliseconds.
  std::optional<int> Wait(int milliseconds);

 private:
  pid_t pid_;
};

}  // namespace pytriton::testing
