#pragma once
// LogLimiter: lets a few log lines of each kind through and counts the others, so that ten thousand bad peers do not
// fill the disk with what one line can say. Pure: the caller says what time it is.
// Owner: whoever logs. Thread: the owner's. Errors: none. Limits: one entry for each kind; kinds are words of the
// program, never of a peer.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/runtime.h"

namespace chordfs {

class LogLimiter {
 public:
  /// At most `burst` lines of a kind at once, and one more for every `every` that passes.
  explicit LogLimiter(std::uint32_t burst = 10, Duration every = 10s) : burst_(burst), every_(every) {}

  /// Whether a line of this kind may be written now: if so, how many were left out since the last one.
  std::optional<std::uint64_t> admit(std::string_view kind, Time now);

 private:
  struct Kind {
    std::uint32_t left = 0;
    Time refilled{};  ///< Up to here time has been turned into lines.
    std::uint64_t left_out = 0;
  };

  const std::uint32_t burst_;
  const Duration every_;
  std::map<std::string, Kind, std::less<>> kinds_;
};

}  // namespace chordfs
