#pragma once
// CHECK(condition, "format", values…): an assertion that stays on in release, for bugs of ours only.
// Never for anything that came from outside the process: that is an Error.

#include <fmt/format.h>

#include <string>

namespace chordfs {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& what);
}

#define CHECK(condition, ...)                                                               \
  do {                                                                                      \
    if (!(condition)) [[unlikely]]                                                          \
      ::chordfs::check_failed(__FILE__, __LINE__, #condition, fmt::format("" __VA_ARGS__)); \
  } while (false)
