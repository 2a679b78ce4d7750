#pragma once
// What an arc's leader has to clear up in time: orphans (inodes without a name, kept while a session has them open)
// and the outbox (blocks that no map names any more). Pure functions over records; any thread.
// Limits: kPurgeExtentsMax extents go in one Purge; the orphan stays until a further one has taken the last.

#include <cstdint>

#include "daemon/tree/state.h"

namespace chordfs::tree {

inline constexpr std::size_t kPurgeExtentsMax = 10'000;
inline constexpr std::uint32_t kOutboxPageMax = 10'000;

/// `not_found`: it is no orphan, or was purged before.
wire::Answer purge(State& state, const wire::Purge& operation);
wire::Answer clear_outbox(State& state, const wire::ClearOutbox& operation);

/// The oldest blocks of the outbox and the first orphans, up to `entries_max` (0: kOutboxPageMax) of each kind.
void list_outbox(const Records& records, std::uint32_t entries_max, wire::QueryAnswer& answer);

}  // namespace chordfs::tree
