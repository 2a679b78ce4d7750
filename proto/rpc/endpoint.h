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

/// Where a peer said that it listens. The port is the sender's word: one beyond 16 bits is cut, and reaches nobody.
inline Endpoint endpoint_of(const wire::Peer& peer) {
  return {peer.host(), static_cast<std::uint16_t>(peer.port())};
}

/// One or more endpoints with commas between them.
Result<std::vector<Endpoint>> parse_endpoints(std::string_view text);

}  // namespace chordfs
