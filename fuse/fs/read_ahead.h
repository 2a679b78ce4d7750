#pragma once
// ReadAhead: is one handle's program reading a file from one end to the other, and how far ahead of it should we be?
// Pure.

#include <algorithm>
#include <cstdint>

namespace chordfs::fs {

inline constexpr std::uint64_t kReadAheadBytesMax = std::uint64_t{8} << 20;
inline constexpr std::uint64_t kReadAheadBytesFirst = std::uint64_t{1} << 20;
/// A request of this size is taken for the beginning of more.
inline constexpr std::uint64_t kLargeReadBytes = 64U << 10;

class ReadAhead {
 public:
  explicit ReadAhead(std::uint64_t window_max = kReadAheadBytesMax) : window_max_(window_max) {}

  struct Advice {
    bool whole_blocks = false;
    std::uint64_t from = 0, to = 0;  ///< To be fetched before it is asked for; empty: nothing.
  };

  /// The program reads [from, to) of a file with `size` bytes.
  Advice read(std::uint64_t from, std::uint64_t to, std::uint64_t size) {
    // The kernel sends several requests at once, and they may overtake one another.
    bool follows = from + kReadAheadBytesFirst >= next_ && from <= next_ + kReadAheadBytesFirst;
    if (!follows) {
      fetched_to_ = 0;
      window_ = 0;
    }
    bool goes_on = follows && next_ > 0;
    next_ = follows ? std::max(next_, to) : to;
    Advice advice{goes_on || to - from >= kLargeReadBytes};
    if (!goes_on) return advice;
    window_ = std::clamp(window_ * 2, kReadAheadBytesFirst, window_max_);
    advice.from = std::max(to, fetched_to_);
    advice.to = std::min(size, to + window_);
    // In steps of a quarter of the window at least: not a task for every request.
    if (advice.from >= advice.to || (advice.to < size && advice.to - advice.from < window_ / 4)) {
      advice.from = advice.to = 0;
      return advice;
    }
    fetched_to_ = advice.to;
    return advice;
  }

 private:
  std::uint64_t window_max_;
  std::uint64_t next_ = 0;        ///< Where the next request starts if it is read in order.
  std::uint64_t window_ = 0;      ///< Grows while it goes on like this.
  std::uint64_t fetched_to_ = 0;  ///< Advised so far.
};

}  // namespace chordfs::fs
