#include "tools/sim/transaction_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/arc/keys.h"
#include "daemon/store/log_record.h"
#include "daemon/tree/keys.h"
#include "proto/wire/tree.pb.h"
#include "tools/sim/ring_world.h"

namespace chordfs {

namespace {
constexpr char kPrepared = 'P';  // As daemon/tree/transactions.cc writes it.
}

void TransactionWatch::committed(ArcNumber arc, std::uint64_t index, std::string_view payload) {
  wire::Operation operation;
  if (!operation.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return ring_.violation(fmt::format("arc {}: entry {} is no operation", arc, index));
  if (operation.has_begin()) {
    for (const auto& part : operation.begin().transaction().parts())
      if (std::ranges::any_of(part.steps(), &wire::Step::has_dirmove)) moves_.insert({arc, index});
  } else if (operation.has_decide()) {
    decided({arc, operation.decide().index()}, operation.decide().commit());
  } else if (operation.has_forget()) {
    forgotten_.insert({arc, operation.forget().index()});
  } else if (operation.has_finish() && operation.finish().commit()) {
    const Tx tx{operation.finish().tx().arc(), operation.finish().tx().index()};
    if (arc == 0 && moving_ == tx) moving_.reset();
    const auto decision = decisions_.find(tx);
    if (decision == decisions_.end() || !decision->second)
      ring_.violation(fmt::format("I14: arc {} commits transaction {}.{}, which was {}", arc, tx.first, tx.second,
                                  decision == decisions_.end() ? "not decided" : "aborted"));
  } else if (operation.has_prepare()) {
    const Tx tx{operation.prepare().tx().arc(), operation.prepare().tx().index()};
    if (!forgotten_.contains(tx)) return;
    ++late_prepares_;
    late_.push_back({arc, index, tx});
  }
}

void TransactionWatch::decided(const Tx& tx, bool commit) {
  // The first decision in the log counts; one that comes again (a leader that heard nothing of it) changes nothing.
  if (!decisions_.try_emplace(tx, commit).second || !commit || !moves_.contains(tx)) return;
  if (moving_)
    ring_.violation(fmt::format("I18: transaction {}.{} moves a directory while {}.{} does", tx.first, tx.second,
                                moving_->first, moving_->second));
  // Decided in the root's arc itself, it gives the right back with the decision.
  if (tx.first != 0) moving_ = tx;
  ++directory_moves_;
}

void TransactionWatch::look() {
  if (!late_.empty()) std::erase_if(late_, [this](const Late& late) { return judged(late); });
}

bool TransactionWatch::judged(const Late& late) const {
  for (std::size_t i = 0; i < ring_.node_count(); ++i) {
    const auto* node = ring_.node(i);
    const auto arc = node == nullptr ? nullptr : node->arcs()->find(late.arc);
    if (!arc || !arc->raft || arc->replacing || arc->raft->passive() || arc->applied < late.index) continue;
    const auto key = tree::prepared_key(late.tx.first, late.tx.second);
    const auto stored = ring_.disk(i).visible()->get(keys::record(late.arc, key));
    if (!stored) return true;
    const auto value = open_record(key, *stored);
    if (value && value->front() == kPrepared)
      ring_.violation(fmt::format("I15: arc {} has prepared transaction {}.{}, which was forgotten before", late.arc,
                                  late.tx.first, late.tx.second));
    return true;
  }
  return false;
}

}  // namespace chordfs
