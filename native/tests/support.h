// SPDX-License-Identifier: Apache-2.0
//
// Small things that many tests need.
#pragma once

#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace pytriton::testing {

// Longer than anything takes, so that only what never happens runs into it.
inline constexpr std::chrono::seconds kLong{20};

// A directory that goes with its owner.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/pytriton-test-XXXXXX";
    if (mkdtemp(name) == nullptr) {
      throw std::runtime_error("mkdtemp");
    }
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// For what gives no sign when it has happened.
template <typename Condition>
bool Eventually(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Lines that other threads say, to be waited for.
class Lines {
 public:
  void Add(const std::string& line) {
    const std::unique_lock lock(mutex_);
    lines_.push_back(line);
    changed_.notify_all();
  }

  // Whether a line that contains the text came, or comes.
  bool Await(const std::string& text) { return AwaitFor(text, kLong); }
  bool AwaitFor(const std::string& text, std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] {
      for (const std::string& line : lines_) {
        if (line.find(text) != std::string::npos) {
          return true;
        }
      }
      return false;
    });
  }

  std::vector<std::string> all() {
    const std::unique_lock lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

inline bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Descriptors of this process that are open now.
inline std::vector<int> OpenDescriptors() {
  std::vector<int> descriptors;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    descriptors.push_back(std::stoi(entry.path().filename()));
  }
  return descriptors;
}

inline size_t DescriptorCount() {
  return OpenDescriptors().size();
}

inline void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

}  // namespace pytriton::testing
