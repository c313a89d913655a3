// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "backend/model.h"

namespace pytriton {

// Which models of this backend exist in the server right now, half-destroyed ones included.
class ModelRegistry {
 public:
  void Add(const void* key, const std::string& name) {
    const std::unique_lock lock(mutex_);
    models_[key] = {name, {}, nullptr};
  }

  // The model behind a key, once it is complete.
  void Set(const void* key, std::shared_ptr<Model> model) {
    const std::unique_lock lock(mutex_);
    Entry& entry = models_[key];
    entry.socket_path = model->binding().socket_path;
    entry.model = std::move(model);
    const auto loading = loading_.find(entry.name);
    if (loading != loading_.end() && loading->second.given_up) {
      entry.model->session().GiveUpWaiting();
    }
  }

  // Takes the model from its key, so that nobody else comes by it.
  std::shared_ptr<Model> Take(const void* key) {
    const std::unique_lock lock(mutex_);
    return std::exchange(models_[key].model, nullptr);
  }

  // The model that listens on a socket already, if there is one.
  std::shared_ptr<Model> Find(const std::string& socket_path) {
    const std::unique_lock lock(mutex_);
    for (const auto& [key, entry] : models_) {
      if (entry.model != nullptr && entry.socket_path == socket_path) {
        return entry.model;
      }
    }
    return nullptr;
  }

  void Remove(const void* key) {
    const std::unique_lock lock(mutex_);
    models_.erase(key);
    changed_.notify_all();
  }

  // Lets go of all workers, so that whatever is outstanding fails; returns the names of the models.
  std::set<std::string> StopAll() {
    const std::unique_lock lock(mutex_);
    std::set<std::string> names;
    for (const auto& [key, entry] : models_) {
      names.insert(entry.name);
      if (entry.model != nullptr) {
        entry.model->session().Stop();
      }
    }
    return names;
  }

  // A load of a model, from when it was asked for until it has succeeded or failed.
  void BeginLoading(const std::string& name) {
    const std::unique_lock lock(mutex_);
    ++loading_[name].count;
  }
  void EndLoading(const std::string& name) {
    const std::unique_lock lock(mutex_);
    const auto loading = loading_.find(name);
    if (--loading->second.count == 0) {
      loading_.erase(loading);
      changed_.notify_all();
    }
  }

  // Makes loads of a model wait no longer for its workers, and returns when none is left, or at `Close`.
  void GiveUpLoading(const std::string& name) {
    std::unique_lock lock(mutex_);
    const auto loading = loading_.find(name);
    if (loading == loading_.end()) {
      return;
    }
    loading->second.given_up = true;
    for (const auto& [key, entry] : models_) {
      if (entry.name == name && entry.model != nullptr) {
        entry.model->session().GiveUpWaiting();
      }
    }
    changed_.wait(lock, [&] { return closed_ || !loading_.contains(name); });
  }

  // Returns when no model is left, or after the timeout.
  void WaitUntilEmpty(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return models_.empty(); });
  }

  // Returns when no version of the model is left, or at `Close`.
  void WaitUntilGone(const std::string& name) {
    WaitUntilNone([&](const Entry& entry) { return entry.name == name; });
  }

  // Returns when the version that listens on this socket is left by its last request, or at `Close`: how many
  // of its requests have failed meanwhile for lack of a worker.
  uint64_t WaitUntilReleased(const std::string& socket_path) {
    std::shared_ptr<const std::atomic<uint64_t>> failed;
    if (const std::shared_ptr<Model> model = Find(socket_path)) {
      failed = model->failed();
    }
    const uint64_t before = failed == nullptr ? 0 : failed->load();
    WaitUntilNone([&](const Entry& entry) { return entry.socket_path == socket_path; });
    return failed == nullptr ? 0 : failed->load() - before;
  }

  // Lets go of the workers of the version that listens on this socket: what it holds fails.
  void Stop(const std::string& socket_path) {
    const std::unique_lock lock(mutex_);
    for (const auto& [key, entry] : models_) {
      if (entry.model != nullptr && entry.socket_path == socket_path) {
        entry.model->session().Stop();
      }
    }
  }

  void Close() {
    const std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  // Whether a model has a worker, in one of its versions if none is named; without a name, whether all
  // versions of all models have. Of models that are not here nothing is known. Versions that are being
  // replaced are here twice, and there one of the two has to have one.
  bool HasWorkers(const char* name, int64_t version) {
    const std::unique_lock lock(mutex_);
    std::map<std::pair<std::string, uint64_t>, bool> found;
    for (const auto& [key, entry] : models_) {
      const bool is_meant = name == nullptr || entry.name == name;
      if (entry.model == nullptr || !is_meant ||
          (version > 0 && entry.model->version() != static_cast<uint64_t>(version))) {
        continue;
      }
      bool& has = found[{entry.name, entry.model->version()}];
      has = has || entry.model->session().HasWorkers();
    }
    const auto has = [](const auto& each) { return each.second; };
    return name == nullptr ? std::all_of(found.begin(), found.end(), has)
                           : found.empty() || std::any_of(found.begin(), found.end(), has);
  }

  // A line for each model.
  std::string Counters() {
    const std::unique_lock lock(mutex_);
    std::string text;
    for (const auto& [key, entry] : models_) {
      if (entry.model != nullptr) {
        text += entry.model->Counters() + "\n";
      }
    }
    return text;
  }

 private:
  struct Entry {
    std::string name;
    std::string socket_path;
    std::shared_ptr<Model> model;
  };

  struct Loading {
    int count = 0;
    bool given_up = false;
  };

  template <typename Predicate>
  void WaitUntilNone(Predicate is_meant) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return closed_ || std::none_of(models_.begin(), models_.end(),
                                     [&](const auto& model) { return is_meant(model.second); });
    });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<const void*, Entry> models_;
  std::map<std::string, Loading> loading_;
  bool closed_ = false;
};

}  // namespace pytriton
