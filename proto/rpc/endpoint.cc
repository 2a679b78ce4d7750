#include "proto/rpc/endpoint.h"

#include <fmt/format.h>

#include <charconv>

namespace chordfs {

namespace {

Error bad(std::string_view text, std::string_view why) {
  return {Errc::invalid, fmt::format("'{}' is not PORT or HOST:PORT: {}", text, why)};
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view port) {
  unsigned number = 0;
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty()) return bad(text, "the port is missing");
  if (end != port.data() + port.size()) return bad(text, fmt::format("'{}' is not a number", port));
  if (error != std::errc() || number < 1 || number > 65535) return bad(text, "a port is 1 to 65535");
  return static_cast<std::uint16_t>(number);
}

bool host_character(char c) {
  return c > ' ' && c != 0x7f && c != '[' && c != ']' && c != '/' && c != ',';
}

Result<Endpoint> endpoint(std::string_view text, std::string_view host, std::string_view port) {
  if (host.empty()) return bad(text, "the host is missing");
  if (host.size() > kHostBytesMax) return bad(text, "the host is too long");
  for (char c : host)
    if (!host_character(c)) return bad(text, "the host has a character that no host has");
  TRY(std::uint16_t number, parse_port(text, port));
  return Endpoint{std::string(host), number};
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  if (text.starts_with('[')) {
    auto close = text.find(']');
    if (close == text.npos) return bad(text, "']' is missing");
    if (close + 1 >= text.size() || text[close + 1] != ':') return bad(text, "the port is missing");
    return endpoint(text, text.substr(1, close - 1), text.substr(close + 2));
  }
  auto colon = text.find(':');
  if (colon == text.npos) return endpoint(text, kHostDefault, text);
  if (text.find(':', colon + 1) != text.npos) return bad(text, "write an IPv6 address as [ADDRESS]:PORT");
  return endpoint(text, text.substr(0, colon), text.substr(colon + 1));
}

Result<std::vector<Endpoint>> parse_endpoints(std::string_view text) {
  std::vector<Endpoint> all;
  for (;;) {
    auto comma = text.find(',');
    TRY(Endpoint one, parse_endpoint(text.substr(0, comma)));
    all.push_back(std::move(one));
    if (comma == text.npos) return all;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace chordfs
