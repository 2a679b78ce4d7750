#pragma once
// What a fuzz target does once: the log would cost more than the work. Bugs (CHECK) are still said.

#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>

namespace chordfs::fuzz {

inline void be_quiet() {
  static const bool once = [] {
    spdlog::set_level(spdlog::level::critical);
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace chordfs::fuzz
