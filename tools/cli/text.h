#pragma once
// Text: how the command writes sizes, durations, times, names and JSON. Pure, but for print_json; any thread.

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/runtime.h"
#include "proto/wire/ring.pb.h"

namespace chordfs::cli {

/// "12.3 GiB"
std::string human(std::uint64_t bytes);
/// "0:42", "1:02:03"
std::string human(Duration duration);
/// "2026-11-25 21:06", local time of nanoseconds since 1970.
std::string date(std::int64_t nanoseconds);
/// "drwxr-xr-x"
std::string mode_text(char type, std::uint32_t mode);
/// "127.0.0.1:6000"
std::string address(const wire::Peer& peer);
double milliseconds(Duration duration);

bool is_utf8(std::string_view text);
/// For a terminal: control characters and what is not UTF-8 become '?'.
std::string printable(std::string_view name);
/// For JSON: what is not UTF-8 becomes U+FFFD.
std::string utf8(std::string_view name);

/// One line on stdout.
void print_json(const boost::json::value& value);

/// The last part of a path: "b" of "/a/b/".
std::string_view base_name(std::string_view path);

}  // namespace chordfs::cli
