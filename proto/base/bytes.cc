#include "proto/base/bytes.h"

#include <isa-l/crc.h>

namespace chordfs {

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) {
  // ISA-L takes int lengths and neither pre- nor post-inverts.
  std::uint32_t crc = ~seed;
  while (!bytes.empty()) {
    auto piece = bytes.substr(0, 1U << 30);
    crc = crc32_iscsi(reinterpret_cast<unsigned char*>(const_cast<char*>(piece.data())), static_cast<int>(piece.size()),
                      crc);
    bytes.remove_prefix(piece.size());
  }
  return ~crc;
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

}  // namespace chordfs
