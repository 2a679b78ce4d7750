#pragma once
// Queries: what a client or a leader asks of an arc's records at one moment. What an undecided transaction is about to
// change is answered `locked`, with the holder: so a transaction is atomic to every reader. Pure; any thread.
// Limits: kDirEntriesPerPageMax; kExtentsPerAnswerMax.

#include <cstdint>

#include "daemon/tree/state.h"

namespace chordfs::tree {

/// GetInode with `open` sends the map of so much of a file along.
inline constexpr std::uint64_t kOpenMapBytes = 1U << 20;
/// An answer with more would not fit into a frame: it ends there, without `end`; ask again from there.
inline constexpr int kExtentsPerAnswerMax = 20'000;

wire::QueryAnswer answer_query(const Place& place, const Records& records, const wire::Query& query);

}  // namespace chordfs::tree
