#pragma once
// A directory for one test, removed with all that is in it. In memory if there is a place for that: no test here can
// cut the power, so a real disk would show no more and take twenty times as long.

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "proto/base/check.h"

namespace chordfs {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::filesystem::path memory = "/dev/shm";
    auto place = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    auto name = (place / "chordfs-store-XXXXXX").string();
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
