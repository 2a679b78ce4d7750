#pragma once
// The tree's operations and queries through an arc's log: what turns messages into bytes and back.
// Thread: the Runtime's.

#include "daemon/arc/arcs.h"
#include "proto/wire/tree.pb.h"

namespace chordfs {

/// Stamps the time, commits, parses the answer.
awaitable<Result<wire::Answer>> propose(Runtime& runtime, Arcs& arcs, ArcNumber arc, wire::Operation operation);
awaitable<Result<wire::QueryAnswer>> ask(Arcs& arcs, ArcNumber arc, wire::Query query);

}  // namespace chordfs
