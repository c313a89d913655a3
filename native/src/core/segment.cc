// SPDX-License-Identifier: Apache-2.0
#include "core/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "core/failure.h"

namespace pytriton {

Segment::Segment(uint64_t size) : size_(size), base_(nullptr) {
  fd_ = UniqueFd(memfd_create("pytriton", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd_ || ftruncate(fd_.get(), static_cast<off_t>(size)) != 0 ||
      fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    throw SystemFailure("creating " + std::to_string(size) + " bytes of shared memory");
  }
  void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_.get(), 0);
  if (mapped == MAP_FAILED) {
    throw SystemFailure("mapping " + std::to_string(size) + " bytes of shared memory");
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
