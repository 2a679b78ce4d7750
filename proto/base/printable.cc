#include "proto/base/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace chordfs {

namespace {
/// Bytes of the character that `text` begins with; 0 if it is none that a terminal may be given.
std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  std::uint32_t code = first & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return 0;
    code = code << 6 | (next & 0x3fU);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0xa0, 0x800, 0x10000};  // U+0080 to U+009F are control characters.
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool line_break = code == 0x2028 || code == 0x2029;
  // U+202A to U+202E and U+2066 to U+2069 turn the direction of what follows.
  const bool direction = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return code < kSmallest[size] || code > 0x10ffff || surrogate || line_break || direction ? 0 : size;
}
}  // namespace

std::string printable(std::string_view text, std::size_t bytes_max) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto size = character_bytes(text.substr(at));
    if (at + std::max<std::size_t>(size, 1) > bytes_max) return out + "…";
    if (size > 0)
      out += text.substr(at, size);
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
    at += std::max<std::size_t>(size, 1);
  }
  return out;
}

}  // namespace chordfs
