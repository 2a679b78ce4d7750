#pragma once
// Cuts: an input of the fuzzer as a sequence of numbers and texts. A text is its length (2 bytes, big-endian) and its
// bytes, cut at the input's end, so that every input means something. append_text() is how seeds are written.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/bytes.h"

namespace chordfs::fuzz {

class Cuts {
 public:
  Cuts(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(rest_.empty() ? 0 : take(1)[0]); }
  std::string_view text() {
    const std::size_t size = rest_.size() < 2 ? rest_.size() : read_u16(take(2));
    return take(size);
  }
  std::string_view rest() { return take(rest_.size()); }

 private:
  std::string_view take(std::size_t size) {
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest_;
};

inline void append_text(std::string& out, std::string_view text) {
  append_u16(out, static_cast<std::uint16_t>(std::min<std::size_t>(text.size(), 0xffff)));
  out += text.substr(0, 0xffff);
}

}  // namespace chordfs::fuzz
