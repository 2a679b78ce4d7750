#include "daemon/node/propose.h"

#include <algorithm>

#include "proto/base/check.h"

namespace chordfs {

awaitable<Result<wire::Answer>> propose(Runtime& runtime, Arcs& arcs, ArcNumber arc, wire::Operation operation) {
  operation.set_now(runtime.wall_now());
  // What others rest upon (steps of transactions, sessions, what may be deleted, locks) is never late.
  const bool locks = std::ranges::any_of(operation.execute().steps(), &wire::Step::has_set_lock);
  const auto kind = operation.has_execute() && !locks ? EntryKind::operation : EntryKind::synced;
  CO_TRY(auto bytes, co_await arcs.propose(arc, operation.SerializeAsString(), kind));
  wire::Answer answer;
  CHECK(answer.ParseFromString(bytes), "the tree's answer does not parse");
  co_return answer;
}

awaitable<Result<wire::QueryAnswer>> ask(Arcs& arcs, ArcNumber arc, wire::Query query) {
  CO_TRY(auto bytes, co_await arcs.query(arc, query.SerializeAsString()));
  wire::QueryAnswer answer;
  CHECK(answer.ParseFromString(bytes), "the tree's answer does not parse");
  co_return answer;
}

}  // namespace chordfs
