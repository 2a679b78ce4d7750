#pragma once
// Transactions over several arcs: two-phase commit whose every step is an entry of some arc's log
// (shared/replication.md 4.6). The leaders carry the messages; here is what each arc does on each, however often and
// late it comes.
//
// Coordinator: begin, decide, forget. A transaction is (its arc, the log index of its Begin): it grows, never repeats.
// Participants: prepare, finish. A finished one is remembered until the coordinator's low-water mark has passed it, and
// below that mark nothing is ever prepared again: a late duplicate cannot bring a finished transaction back to life
// (finding 10).
//
// A prepared part holds: its locks keep everything that its checks saw. Pure functions; any thread.

#include <cstdint>

#include "daemon/tree/outcome.h"
#include "daemon/tree/state.h"

namespace chordfs::tree {

/// Where and when an operation is applied.
struct Moment {
  Place place;
  std::uint64_t index = 0;
  std::int64_t now = 0;
};

/// The answer's `tx` without an error: undecided, to be driven. Anything else is a final answer, or `locked`.
wire::Answer begin(const Moment& moment, MutableRecords& records, const wire::Begin& begin,
                   const wire::Identity* identity);
/// The first decision counts. The answer is the one for the client, whichever way it went.
wire::Answer decide(const Moment& moment, MutableRecords& records, const wire::Decide& decide);
wire::Answer forget(MutableRecords& records, const wire::Forget& forget);

/// No error: this arc's vote is yes.
wire::Answer prepare(const Moment& moment, MutableRecords& records, const wire::Prepare& prepare);
wire::Answer finish(const Moment& moment, MutableRecords& records, const wire::Finish& finish);

// ---- What queries tell of it ----

wire::QueryAnswer::TxState transaction_state(const Records& records, std::uint64_t index);
/// All that are coordinated here and not forgotten, all that are prepared here and not finished, the low-water mark.
void list_transactions(const Place& place, const Records& records, wire::QueryAnswer& answer);
/// Transactions coordinated here below this are over. Never falls.
std::uint64_t low_water(const Place& place, const Records& records);

}  // namespace chordfs::tree
