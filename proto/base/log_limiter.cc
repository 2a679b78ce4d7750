#include "proto/base/log_limiter.h"

#include <algorithm>
#include <utility>

namespace chordfs {

std::optional<std::uint64_t> LogLimiter::admit(std::string_view name, Time now) {
  auto at = kinds_.find(name);
  if (at == kinds_.end()) at = kinds_.emplace(std::string(name), Kind{.left = burst_, .refilled = now}).first;
  auto& kind = at->second;
  const auto earned = std::max<Duration::rep>((now - kind.refilled) / every_, 0);
  kind.left = static_cast<std::uint32_t>(std::min<Duration::rep>(kind.left + earned, burst_));
  kind.refilled += earned * every_;
  if (kind.left == 0) {
    ++kind.left_out;
    return std::nullopt;
  }
  --kind.left;
  return std::exchange(kind.left_out, 0);
}

}  // namespace chordfs
