// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pytriton {

// Calls by their requests, with a reference to each. Requests that are not there, as those of HTTP, take no
// lock unless they share a place with one that is.
template <typename Call>
class CallTable {
 public:
  void Add(Call* call) {
    Place& place = PlaceOf(call->request);
    const Lock lock(place);
    call->next = place.first.load(std::memory_order_relaxed);
    place.first.store(call, std::memory_order_release);
  }

  // With a reference for the caller; null if there is none.
  Call* Find(const void* request) {
    Place& place = PlaceOf(request);
    if (place.first.load(std::memory_order_acquire) == nullptr) {
      return nullptr;
    }
    const Lock lock(place);
    for (Call* call = place.first.load(std::memory_order_relaxed); call != nullptr; call = call->next) {
      if (call->request == request) {
        call->Hold();
        return call;
      }
    }
    return nullptr;
  }

  void Remove(const void* request) {
    Place& place = PlaceOf(request);
    if (place.first.load(std::memory_order_acquire) == nullptr) {
      return;
    }
    Call* found = nullptr;
    {
      const Lock lock(place);
      Call* before = nullptr;
      found = place.first.load(std::memory_order_relaxed);
      while (found != nullptr && found->request != request) {
        before = found;
        found = found->next;
      }
      if (found == nullptr) {
        return;
      }
      if (before == nullptr) {
        place.first.store(found->next, std::memory_order_relaxed);
      } else {
        before->next = found->next;
      }
    }
    found->Release();
  }

  // While the function runs, the call's request cannot be deleted.
  template <typename Function>
  void ForEach(Function function) {
    for (Place& place : places_) {
      if (place.first.load(std::memory_order_acquire) == nullptr) {
        continue;
      }
      const Lock lock(place);
      for (Call* call = place.first.load(std::memory_order_relaxed); call != nullptr; call = call->next) {
        function(call);
      }
    }
  }

 private:
  struct Place {
    std::atomic<Call*> first{nullptr};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  };

  class Lock {
   public:
    explicit Lock(Place& place) : mutex_(place.mutex) { pthread_mutex_lock(&mutex_); }
    ~Lock() { pthread_mutex_unlock(&mutex_); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    pthread_mutex_t& mutex_;
  };

  static constexpr size_t kPlaces = 1024;

  Place& PlaceOf(const void* request) {
    return places_[(reinterpret_cast<uintptr_t>(request) >> 6) % kPlaces];
  }

  Place places_[kPlaces];
};

}  // namespace pytriton
