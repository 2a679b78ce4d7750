#pragma once
// The names that Disk::put_file and its siblings take. A wrong one is a bug of ours: names never come from outside.

#include <string_view>

#include "proto/base/check.h"

namespace chordfs {

inline void check_file_name(std::string_view name) {
  CHECK(name.size() >= 2 && name.size() <= 64 && name.find_first_not_of("0123456789abcdef") == name.npos,
        "file name '{}'", name);
}

}  // namespace chordfs
