#include "tools/cli/text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cstdio>
#include <ctime>

namespace chordfs::cli {

namespace {
/// Bytes of the UTF-8 character that begins here; 0 if none does (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text) {
  auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  auto next = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  auto first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return next(1) ? 2 : 0;
  if (first >= 0xE0 && first < 0xF0) {
    bool overlong = first == 0xE0 && at(1) < 0xA0;
    bool surrogate = first == 0xED && at(1) >= 0xA0;
    return next(1) && next(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first < 0xF5) {
    bool overlong = first == 0xF0 && at(1) < 0x90;
    bool beyond = first == 0xF4 && at(1) >= 0x90;
    return next(1) && next(2) && next(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

/// With each byte that begins no character replaced.
std::string mended(std::string_view text, std::string_view replacement) {
  std::string out;
  while (!text.empty()) {
    auto length = utf8_length(text);
    out += length == 0 ? replacement : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}
}  // namespace

std::string human(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human(Duration duration) {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < 3600) return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
  return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string date(std::int64_t nanoseconds) {
  std::time_t seconds = nanoseconds / 1'000'000'000;
  std::tm local{};
  if (!localtime_r(&seconds, &local)) return "?";
  return fmt::format("{:%Y-%m-%d %H:%M}", local);
}

std::string mode_text(char type, std::uint32_t mode) {
  std::string text(1, type);
  for (int shift = 6; shift >= 0; shift -= 3) {
    auto bits = mode >> shift;
    text += (bits & 4U) != 0 ? 'r' : '-';
    text += (bits & 2U) != 0 ? 'w' : '-';
    text += (bits & 1U) != 0 ? 'x' : '-';
  }
  auto special = [&](std::uint32_t bit, std::size_t at, char with_x) {
    if ((mode & bit) != 0) text[at] = static_cast<char>(text[at] == 'x' ? with_x : with_x - 'a' + 'A');
  };
  special(04000, 3, 's');
  special(02000, 6, 's');
  special(01000, 9, 't');
  return text;
}

std::string address(const wire::Peer& peer) {
  return fmt::format("{}:{}", peer.host(), peer.port());
}

double milliseconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    auto length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string printable(std::string_view name) {
  auto text = mended(name, "?");
  for (auto& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text;
}

std::string utf8(std::string_view name) {
  return mended(name, "\xEF\xBF\xBD");
}

void print_json(const boost::json::value& value) {
  fmt::print(stdout, "{}\n", boost::json::serialize(value));
}

std::string_view base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace chordfs::cli
