#include "proto/rpc/incoming_limits.h"

#include <sys/resource.h>

namespace chordfs {

IncomingLimits raised_limits() {
  IncomingLimits limits;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
  const auto before = files.rlim_cur;
  files.rlim_cur = files.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0) files.rlim_cur = before;
  if (files.rlim_cur != RLIM_INFINITY)
    limits.connections = std::min<std::size_t>(limits.connections, std::max<std::size_t>(files.rlim_cur / 2, 1));
  return limits;
}

}  // namespace chordfs
