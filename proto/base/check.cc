#include "proto/base/check.h"

#include <spdlog/spdlog.h>

#include <cstdlib>

namespace chordfs {

void check_failed(const char* file, int line, const char* condition, const std::string& what) {
  spdlog::critical("bug at {}:{}: {} does not hold. {}", file, line, condition, what);
  spdlog::shutdown();
  std::abort();
}

}  // namespace chordfs
