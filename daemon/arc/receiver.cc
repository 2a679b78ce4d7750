#include "daemon/arc/receiver.h"

#include <set>

#include "daemon/arc/keys.h"
#include "daemon/store/log_record.h"

namespace chordfs {

namespace {
void erase_copy(Batch& batch, ArcNumber arc) {
  for (char kind : {'a', 'l', 'p'}) batch.erase_range(keys::of_arc(kind, arc), keys::end_of_arc(kind, arc));
}
std::string number(std::uint64_t value) {
  std::string text;
  append_u64(text, value);
  return text;
}
}  // namespace

class Receiver::Hold {
 public:
  Hold(ArcPtr arc, Time now) : arc_(std::move(arc)) {
    arc_->receiving = true;
    arc_->touched = now;
  }
  Hold(Hold&&) = default;
  Hold& operator=(Hold&&) = delete;
  ~Hold() {
    if (arc_) arc_->receiving = false;
  }
  const ArcPtr& operator*() const { return arc_; }
  Arc* operator->() const { return arc_.get(); }

 private:
  ArcPtr arc_;
};

Result<Receiver::Hold> Receiver::hold(ArcNumber number, std::uint64_t generation) {
  auto arc = arcs_.find(number);
  if (!arc || arc->status.state() != disk::ArcStatus::LEARNING || arc->status.generation() != generation)
    return Error{Errc::stale, fmt::format("arc {} is not being received in that generation", number)};
  // A message that the network doubled must not be worked in beside its twin.
  if (arc->receiving) return Error{Errc::busy, fmt::format("arc {} is working in another message", number)};
  return Hold(std::move(arc), arcs_.runtime().now());
}

awaitable<Result<Reply>> Receiver::offer(wire::ArcOffer offer) {
  if (refusing_) co_return Error{Errc::not_permitted, "this node is leaving the ring"};
  auto arc = arcs_.find(offer.arc());
  if (arc && (arc->status.state() != disk::ArcStatus::LEARNING || arc->receiving))
    co_return Error{Errc::busy, fmt::format("this node has a part in arc {} already", offer.arc())};
  arc = arcs_.add(offer.arc());
  Hold held(arc, arcs_.runtime().now());
  disk::ArcStatus learning;
  learning.set_state(disk::ArcStatus::LEARNING);
  learning.set_generation(offer.generation());
  *learning.mutable_other() = offer.holder();
  Batch batch;
  erase_copy(batch, arc->number);  // What an earlier attempt left behind.
  arc->last = arc->applied = arc->log_cut = 0;
  CO_TRY_VOID(co_await arcs_.set_status(arc, std::move(learning), std::move(batch)));
  Reply reply;
  for (const auto& [block, length] : arcs_.blocks().list(arc->number))
    reply.header.mutable_arc_offer()->add_blocks_held(block);
  reply.header.mutable_arc_offer();
  co_return reply;
}

awaitable<Result<Reply>> Receiver::page(wire::ArcPage page) {
  CO_TRY(auto arc, hold(page.arc(), page.generation()));
  if (page.keys_size() != page.values_size()) co_return Error{Errc::bad_message, "keys without values"};
  Batch batch;
  for (int i = 0; i < page.keys_size(); ++i) {
    if (!arcs_.machine().is_record(page.keys(i), page.values(i)))
      co_return Error{Errc::bad_message, fmt::format("what came for arc {} is no record of a tree", arc->number)};
    batch.put(keys::record(arc->number, page.keys(i)), seal_record(page.keys(i), page.values(i)));
  }
  if (!page.last()) {
    CO_TRY_VOID(co_await arcs_.disk().commit(std::move(batch), Sync::no));
    co_return Reply{};
  }
  batch.put(keys::applied(arc->number), number(page.index()));
  auto status = arc->status;
  status.set_index(page.index());
  CO_TRY_VOID(co_await arcs_.set_status(*arc, std::move(status), std::move(batch)));
  arc->last = arc->applied = arc->log_cut = page.index();
  co_return Reply{};
}

awaitable<Result<Reply>> Receiver::append(wire::ArcAppend append) {
  CO_TRY(auto arc, hold(append.arc(), append.generation()));
  if (append.first_index() == arc->applied + 1)
    CO_TRY_VOID(co_await arcs_.committer().append_all(*arc, {append.entries().begin(), append.entries().end()}));
  Reply reply;
  reply.header.mutable_arc_append()->set_durable_index(arc->applied);
  co_return reply;
}

awaitable<Result<Reply>> Receiver::take(wire::ArcTake take) {
  auto known = std::make_shared<bool>(false);
  auto tombstone = keys::taken(take.arc(), take.generation());
  CO_TRY_VOID(co_await arcs_.disk().read(
      [known, tombstone](const RecordView& view) { *known = view.get(tombstone).has_value(); }));
  if (*known) co_return Reply{};

  CO_TRY(auto arc, hold(take.arc(), take.generation()));
  std::set<std::string> blocks;
  for (auto& held : arcs_.blocks().list(arc->number)) blocks.insert(std::move(held.id));
  bool whole = arc->applied == take.index();
  for (const auto& block : take.blocks()) whole = whole && blocks.erase(block) > 0;
  if (!whole) {
    // Refuse for ever: forget the attempt durably before saying so.
    CO_TRY_VOID(co_await arcs_.erase(*arc));
    co_return Error{Errc::stale, "the copy here is not whole"};
  }
  for (const auto& block : blocks) CO_TRY_VOID(co_await arcs_.blocks().erase(arc->number, block));
  disk::ArcStatus leading;
  leading.set_state(disk::ArcStatus::LEADING);
  Batch batch;
  batch.put(tombstone, "");
  CO_TRY_VOID(co_await arcs_.set_status(*arc, std::move(leading), std::move(batch)));
  co_return Reply{};
}

}  // namespace chordfs
