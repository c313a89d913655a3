// SPDX-License-Identifier: Apache-2.0
#include "core/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "core/failure.h"

namespace pytriton {

namespace {

std::string LimitOf(decltype(RLIMIT_AS) resource, const std::string& what, const std::string& name) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return {};
  }
  return what + " limited to " + std::to_string(limit.rlim_cur) + " bytes (" + name + "); raise that, or ";
}

// Descriptors may be free again in a moment; a limit that leaves no room stays.
[[noreturn]] void Refuse(uint64_t size) {
  const int error = errno;
  if (error == EMFILE || error == ENFILE) {
    throw SystemFailure("creating " + std::to_string(size) + " bytes of shared memory");
  }
  std::string limit;
  if (error == ENOMEM) {
    limit = LimitOf(RLIMIT_AS, "its address space is", "RLIMIT_AS, ulimit -v");
  } else if (error == EFBIG) {
    limit = LimitOf(RLIMIT_FSIZE, "its files are", "RLIMIT_FSIZE, ulimit -f");
  }
  if (limit.empty()) {
    limit = std::generic_category().message(error) + "; ";
  }
  throw NoRoom("the server has no room for the " + std::to_string(size) +
               " bytes of shared memory that a worker may have: " + limit +
               "let workers have less with ModelConfig(worker_shared_memory_bytes=...)");
}

}  // namespace

Segment::Segment(uint64_t size) : size_(size), base_(nullptr) {
  fd_ = UniqueFd(memfd_create("pytriton", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd_ || ftruncate(fd_.get(), static_cast<off_t>(size)) != 0 ||
      fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    Refuse(size);
  }
  void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_.get(), 0);
  if (mapped == MAP_FAILED) {
    Refuse(size);
  }
  base_ = static_cast<std::byte*>(mapped);
}

Segment::~Segment() {
  munmap(base_, size_);
}

void Segment::GiveBack(uint64_t offset, uint64_t length) const {
  fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(length));
}

}  // namespace pytriton
