#pragma once
// What the operating system refused, as an Error: ENOSPC and EDQUOT are disk_full, all else io_error. Pure.

#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace chordfs {

/// "write blocks/ab/12…: No space left on device". `number`: errno at the failure.
Error os_error(int number, std::string_view what);

/// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();

  bool valid() const { return number_ >= 0; }
  int number() const { return number_; }

 private:
  int number_ = -1;
};

}  // namespace chordfs
