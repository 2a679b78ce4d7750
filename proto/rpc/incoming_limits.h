#pragma once
// IncomingLimits: what all strangers together, and each of them, may take of this process; and Budget, the account of
// the bytes. Owner: TcpTransport. Thread: the Runtime's.

#include <algorithm>
#include <cstddef>

#include "proto/base/runtime.h"

namespace chordfs {

inline constexpr std::size_t kRequestsPerConnectionMax = 1024;
/// Requests being executed, blocks that they asked for, replies not yet written.
inline constexpr std::size_t kBytesPerConnectionMax = 32U << 20;
inline constexpr Duration kHelloTimeMax = 5s;

struct IncomingLimits {
  /// Connections at once. One more closes one that has not asked anything yet, or that has been idle for longest.
  std::size_t connections = 10'000;
  std::size_t requests_each = kRequestsPerConnectionMax;
  std::size_t bytes_each = kBytesPerConnectionMax;
  /// Of all connections, with frames that have come in part. Above it those that hold more than their share are not
  /// read from, and the greediest is cut.
  std::size_t bytes_all = 512U << 20;
  Duration hello_time = kHelloTimeMax;
  /// In each stretch of this length, from a frame's beginning on, so many bytes a second must come on average.
  Duration frame_patience = 10s;
  std::size_t frame_rate_min = 1024;
  /// How often all connections are looked at for the rules above.
  Duration look_every = 1s;
};

/// The limits that suit this process, whose limit on open files is raised as far as it may be: connections get no more
/// than half of the descriptors, the disk and our own calls need the others.
IncomingLimits raised_limits();

/// Whether a frame that has come in part gets on.
class FrameProgress {
 public:
  void came(std::size_t bytes) { bytes_ += bytes; }
  /// Whether it is too slow, now that so much more time has passed in which it could have come. Each stretch of
  /// frame_patience is judged by itself: who sent most of a frame at once may not keep the rest back for hours.
  bool too_slow(Duration passed, const IncomingLimits& limits) {
    waited_ += passed;
    stretch_ += passed;
    if (stretch_ < limits.frame_patience) return false;
    const bool slow = bytes_ < static_cast<std::size_t>(stretch_ / 1s) * limits.frame_rate_min;
    stretch_ = {};
    bytes_ = 0;
    return slow;
  }
  Duration waited() const { return waited_; }

 private:
  Duration waited_{};   ///< Since the frame began.
  Duration stretch_{};  ///< Since the last judgement.
  std::size_t bytes_ = 0;
};

/// Bytes that connections hold, counted as they change.
class Budget {
 public:
  explicit Budget(std::size_t limit) : limit_(limit) {}

  void change(std::size_t from, std::size_t to) { bytes_ += to - from; }
  std::size_t bytes() const { return bytes_; }
  std::size_t limit() const { return limit_; }
  bool over() const { return bytes_ > limit_; }

  /// What each of so many connections may hold while the whole is over its limit: enough to go on with small calls.
  std::size_t share(std::size_t connections) const {
    return std::max(kShareBytesMin, limit_ / std::max<std::size_t>(connections, 1));
  }

 private:
  static constexpr std::size_t kShareBytesMin = 64U << 10;
  const std::size_t limit_;
  std::size_t bytes_ = 0;
};

}  // namespace chordfs
