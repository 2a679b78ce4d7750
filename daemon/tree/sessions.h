#pragma once
// Sessions: exactly once, and never after the end.
//
// What a session did in this arc is remembered until the session says that it knows the answer (`first_unacked`): one
// small record per answer, so that an operation costs the same however many are under way. An operation that comes
// again is answered from there; one that comes again after that is refused and changes nothing.
// A session's own arc knows whether it is open; numbers only grow, so a closed one stays closed. Other arcs keep a mark
// of a few bytes for a session that was fenced: an operation that was under way meanwhile can never take effect.
//
// Pure functions over records; any thread.
// Errors: `session_closed`; `invalid` for a late duplicate; `busy` when kSessionWindow is exceeded.
// Limits: kSessionWindow sequence numbers between the first unacknowledged and the newest.

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/tree/state.h"

namespace chordfs::tree {

inline constexpr std::uint64_t kSessionWindow = 65536;

/// The answer to give without doing anything, if there is one. Forgets what the session has acknowledged.
std::optional<wire::Answer> recall(const Place& place, MutableRecords& records, const wire::Identity& identity);
/// Final answers only; not `locked` or `busy`, which tell the caller to come again.
void remember(MutableRecords& records, const wire::Identity& identity, const wire::Answer& answer);
/// A transaction was begun for it and is not decided: until then that is what is recalled.
void remember_begun(MutableRecords& records, const wire::Identity& identity, const wire::TxId& tx);
/// Is this transaction what would be recalled?
bool is_begun(const Records& records, const wire::Identity& identity, const wire::TxId& tx);
void forget_begun(MutableRecords& records, const wire::Identity& identity);

wire::Answer open_session(const Place& place, MutableRecords& records, const wire::OpenSession& operation);
wire::Answer close_session(const Place& place, MutableRecords& records, const wire::CloseSession& operation);
wire::Answer fence_session(const Place& place, MutableRecords& records, const wire::FenceSession& operation);

bool is_open(const Records& records, std::uint64_t session);
/// Nothing of the session can ever commit here again. Once true it stays so. False also of a session that has ended
/// but was not fenced here yet.
bool is_closed(const Place& place, const Records& records, std::uint64_t session);
/// In order: sessions of this arc that are open, and those of any arc that did something here and are not fenced.
std::vector<std::uint64_t> list_sessions(const Records& records);

}  // namespace chordfs::tree
