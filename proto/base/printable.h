#pragma once
// What a peer or a name says, made fit for a terminal and a log: one line of valid UTF-8, of bounded length, that moves
// no cursor. Pure; any thread.

#include <cstddef>
#include <string>
#include <string_view>

namespace chordfs {

inline constexpr std::size_t kPrintableBytesMax = 1000;

/// `text` with control characters and whatever is not UTF-8 as \xNN; what goes beyond `bytes_max` bytes of it is cut
/// and replaced by "…".
std::string printable(std::string_view text, std::size_t bytes_max = kPrintableBytesMax);

}  // namespace chordfs
