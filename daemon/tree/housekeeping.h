#pragma once
// What an arc's leader has to clear up in time: orphans (inodes without a name, kept while a session has them open)
// and the outbox (blocks that no map names any more); and its judgement on blocks that others hold. Pure functions over
// records; any thread.
// Limits: kPurgeExtentsMax extents go in one Purge; the orphan stays until a further one has taken the last.

#include <cstdint>

#include "daemon/tree/state.h"

namespace chordfs::tree {

inline constexpr std::size_t kPurgeExtentsMax = 10'000;
inline constexpr std::uint32_t kOutboxPageMax = 10'000;

/// `not_found`: it is no orphan, or was purged before.
wire::Answer purge(State& state, const wire::Purge& operation);
wire::Answer clear_outbox(State& state, const wire::ClearOutbox& operation);
/// It is the writer of no inode here any more.
void end_writings_of_session(const Place& place, MutableRecords& records, std::uint64_t session);

/// The oldest blocks of the outbox and the first orphans, up to `entries_max` (0: kOutboxPageMax) of each kind.
void list_outbox(const Records& records, std::uint32_t entries_max, wire::QueryAnswer& answer);

/// Garbage is a block that no map names and that no map ever will: its session is closed here. Both are for ever, so
/// whoever is told may delete it at any later time. Whether the inode exists does not matter: one that was purged, or
/// that is not made yet, names nothing, and its writer may be alive. What was named once and is no more also goes by
/// the outbox, without waiting for the end of the session.
/// `sessions` of the answer: those that keep an unnamed block alive because they are not closed here.
/// `invalid`: a block of another arc's inode, or none at all.
wire::QueryAnswer find_garbage(const Place& place, const Records& records, const wire::FindGarbage& query);

}  // namespace chordfs::tree
