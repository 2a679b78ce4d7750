#pragma once
// A directory for one test, removed with all that is in it.

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "proto/base/check.h"

namespace chordfs {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    auto name = (std::filesystem::temp_directory_path() / "chordfs-store-XXXXXX").string();
    CHECK(::mkdtemp(name.data()), "{}", name);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace chordfs
