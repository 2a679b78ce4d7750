#pragma once
// How people write an endpoint: PORT (on this machine), HOST:PORT, or [IPV6]:PORT. Pure; any thread.

#include <string_view>
#include <vector>

#include "proto/base/result.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// The host that a bare PORT means.
inline constexpr std::string_view kHostDefault = "127.0.0.1";
/// A host name in DNS has at most 253 characters.
inline constexpr std::size_t kHostBytesMax = 253;

/// `invalid` with one line that quotes the text and says what is wrong with it. Brackets are not part of Endpoint.host.
/// Names are not resolved here.
Result<Endpoint> parse_endpoint(std::string_view text);

/// One or more endpoints with commas between them.
Result<std::vector<Endpoint>> parse_endpoints(std::string_view text);

}  // namespace chordfs
