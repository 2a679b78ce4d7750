#include "daemon/arc/mover.h"

#include <spdlog/spdlog.h>

#include "daemon/arc/keys.h"
#include "daemon/store/log_record.h"

namespace chordfs {

namespace {
constexpr std::size_t kMovesAtOnce = 4;
constexpr std::size_t kPageRecordsMax = 2000;
constexpr std::size_t kPageBytesMax = 512U << 10;
constexpr std::uint64_t kLagToFreeze = 64;
constexpr int kCatchUpRoundsMax = 100;
constexpr Duration kMoveTimeout = 5s;
/// While the arc is frozen clients wait for us, and their own deadline is kClientDeadline.
constexpr Duration kFrozenTimeout = 800ms;
constexpr Duration kLearnerPatience = 30s;

struct Page {
  std::vector<std::pair<std::string, std::string>> records;
  std::string next;  ///< Key on disk of the first record that is not in it.
  bool last = true;
  std::uint64_t index = 0;
  bool corrupt = false;
};

Page read_page(const RecordView& view, ArcNumber arc, const std::string& from) {
  Page page;
  if (auto applied = view.get(keys::applied(arc)); applied && applied->size() == 8) page.index = read_u64(*applied);
  std::size_t bytes = 0;
  view.scan(from, keys::end_of_arc('a', arc), [&](std::string_view key, std::string_view stored) {
    if (page.records.size() >= kPageRecordsMax || bytes >= kPageBytesMax) {
      page.next = key;
      page.last = false;
      return false;
    }
    auto own = key.substr(keys::kPrefixBytes);
    auto value = open_record(own, stored);
    if (!value) {
      page.corrupt = true;
      return false;
    }
    bytes += own.size() + value->size();
    page.records.emplace_back(own, *value);
    return true;
  });
  return page;
}
}  // namespace

Mover::Mover(Arcs& arcs, wire::Peer self, Duration period, Desired desired)
    : arcs_(arcs), self_(std::move(self)), period_(period), desired_(std::move(desired)), tasks_(arcs.runtime()) {}

void Mover::start() {
  tasks_.spawn("move arcs", rounds());
}

awaitable<void> Mover::stop() {
  tasks_.stop();
  co_await tasks_.join();
}

awaitable<void> Mover::rounds() {
  for (;;) {
    co_await round();
    if (moving_.empty())
      for (const auto& [node, arcs] : std::exchange(moved_, {})) spdlog::info("handed {} arcs to {}", arcs, node);
    co_await wake_.wait_for(arcs_.runtime(), arcs_.runtime().jitter(hurry_ ? period_ / 4 : period_));
  }
}

awaitable<void> Mover::round() {
  std::map<ArcNumber, std::string> wanted;
  std::map<std::string, std::pair<wire::Peer, std::vector<ArcNumber>>> hints;
  for (const auto& arc : arcs_.all()) {
    if (moving_.contains(arc->number)) continue;
    if (arc->status.state() == disk::ArcStatus::LEARNING && !arc->receiving &&
        arc->touched + kLearnerPatience < arcs_.runtime().now()) {
      // Its holder gave up. If it did not (it crashed while handing over), our refusal makes it lead again.
      arc->receiving = true;  // No message of that move may slip in while it is being forgotten.
      if (auto erased = co_await arcs_.erase(arc); !erased) spdlog::warn("{}", erased.error().text());
      continue;
    }
    if (arc->status.state() == disk::ArcStatus::LEAVING) {
      moving_.insert(arc->number);
      tasks_.spawn("finish a move", run(arc, arc->status.other()));
      continue;
    }
    if (!arc->leads()) continue;
    auto to = co_await desired_(arc->number, refusing_);
    if (!to) refusing_.clear();
    if (!to || to->node() == self_.node()) continue;
    wanted[arc->number] = to->node();
    auto& hint = hints[to->node()];
    hint.first = *to;
    hint.second.push_back(arc->number);
    // A ring that is still settling names another owner every moment: move once two rounds agree.
    auto before = wanted_.find(arc->number);
    bool settled = hurry_ || (before != wanted_.end() && before->second == to->node());
    if (!settled || moving_.size() >= kMovesAtOnce || moving_.contains(arc->number)) continue;
    moving_.insert(arc->number);
    tasks_.spawn("move an arc", run(arc, *to));
  }
  wanted_ = std::move(wanted);
  for (const auto& [node, hint] : hints) {
    Request request;
    *request.header.mutable_arc_hint()->mutable_holder() = self_;
    for (auto arc : hint.second) request.header.mutable_arc_hint()->add_arcs(arc);
    std::ignore =
        co_await call(hint.first, std::move(request), kFrozenTimeout);  // Soft state: the next round says it again.
  }
}

awaitable<void> Mover::run(ArcPtr arc, wire::Peer to) {
  struct Done {
    Mover& mover;
    ArcPtr arc;
    ~Done() {
      arc->moving_to.reset();
      arc->keep_log_from.reset();
      mover.moving_.erase(arc->number);
      if (std::exchange(arc->frozen, false)) arc->changed.notify_all();
      mover.nudge();
    }
  } done{*this, arc};
  auto result = arc->leads() ? co_await move(arc, to) : co_await finish(arc);
  if (result) {
    spdlog::debug("arc {} moved to {}:{}", arc->number, to.host(), to.port());
    ++moved_[endpoint_of(to).text()];
  } else if (result.code() != Errc::cancelled) {
    spdlog::debug("arc {} did not move to {}:{} yet: {}", arc->number, to.host(), to.port(), result.error().text());
    co_await arcs_.runtime().sleep(arcs_.runtime().jitter(period_));
  }
}

awaitable<Result<Reply>> Mover::call(wire::Peer to, Request request, Duration timeout) {
  co_return answered(co_await arcs_.hooks().call(std::move(to), std::move(request), timeout));
}

awaitable<Result<void>> Mover::move(ArcPtr arc, wire::Peer to) {
  auto generation = arcs_.runtime().random();
  Request offer;
  offer.header.mutable_arc_offer()->set_arc(arc->number);
  offer.header.mutable_arc_offer()->set_generation(generation);
  *offer.header.mutable_arc_offer()->mutable_holder() = self_;
  auto offered = co_await call(to, std::move(offer), kMoveTimeout);
  if (offered.code() == Errc::not_permitted) refusing_.insert(to.node());
  CO_TRY(auto accepted, std::move(offered));
  const auto& held = accepted.header.arc_offer().blocks_held();
  std::set<std::string> sent(held.begin(), held.end());

  arc->pass_on_failed = false;
  arc->moving_to = to;
  arc->keep_log_from = arc->applied;
  CO_TRY(auto index, co_await send_records(arc, to, generation));
  for (int round = 0;; ++round) {
    if (round == kCatchUpRoundsMax) co_return Error{Errc::busy, "the arc changes faster than it can be sent"};
    CO_TRY_VOID(co_await send_blocks(arc, to, sent));
    auto target = arc->applied;
    CO_TRY(index, co_await send_log(arc, to, generation, index));
    if (arc->applied - target <= kLagToFreeze) break;
  }

  arc->frozen = true;  // From here clients wait; everything that could be done before has been done.
  while (arc->under_way > 0) co_await arc->changed.wait();
  CO_TRY(index, co_await send_log(arc, to, generation, index));
  CO_TRY_VOID(co_await send_blocks(arc, to, sent));
  if (arc->pass_on_failed) co_return Error{Errc::busy, "a block could not be passed on"};

  disk::ArcStatus leaving;
  leaving.set_state(disk::ArcStatus::LEAVING);
  leaving.set_generation(generation);
  leaving.set_index(index);
  *leaving.mutable_other() = to;
  CO_TRY_VOID(co_await arcs_.set_status(arc, std::move(leaving)));
  arc->frozen = false;  // Who waited is redirected now.
  arc->changed.notify_all();
  co_return co_await finish(arc);
}

awaitable<Result<std::uint64_t>> Mover::send_records(ArcPtr arc, wire::Peer to, std::uint64_t generation) {
  auto view = arcs_.disk().snapshot();
  auto from = keys::of_arc('a', arc->number);
  for (;;) {
    auto page = std::make_shared<Page>();
    CO_TRY_VOID(co_await arcs_.disk().read_at(
        view, [page, number = arc->number, from](const RecordView& v) { *page = read_page(v, number, from); }));
    if (page->corrupt)
      co_return Error{Errc::corrupt, fmt::format("a record of arc {} failed its checksum", arc->number)};
    Request request;
    auto& out = *request.header.mutable_arc_page();
    out.set_arc(arc->number);
    out.set_generation(generation);
    out.set_index(page->index);
    out.set_last(page->last);
    for (auto& [key, value] : page->records) {
      out.add_keys(std::move(key));
      out.add_values(std::move(value));
    }
    CO_TRY_VOID(co_await call(to, std::move(request), kMoveTimeout));
    if (page->last) co_return page->index;
    from = page->next;
  }
}

awaitable<Result<void>> Mover::send_blocks(ArcPtr arc, wire::Peer to, std::set<std::string>& sent) {
  for (auto& [block, length] : arcs_.blocks().list(arc->number)) {
    if (!sent.insert(block).second) continue;
    CO_TRY_VOID(co_await send_block(arc, to, block, length));
  }
  co_return Result<void>();
}

awaitable<Result<void>> Mover::send_block(ArcPtr arc, wire::Peer to, std::string block, std::uint32_t length) {
  auto read = co_await arcs_.blocks().get(arc->number, block, 0, length);
  if (read.code() == Errc::no_block) co_return Result<void>();  // Deleted meanwhile.
  if (!read) co_return read.error();
  Request request;
  auto& put = *request.header.mutable_put_block();
  put.set_arc(arc->number);
  put.set_block(block);
  put.set_crc(crc32c(read->bytes.view()));
  put.set_passed_on(true);
  request.payload = std::move(read->bytes);
  CO_TRY_VOID(co_await call(to, std::move(request), arc->frozen ? kFrozenTimeout : kMoveTimeout));
  co_return Result<void>();
}

awaitable<Result<std::uint64_t>> Mover::send_log(ArcPtr arc, wire::Peer to, std::uint64_t generation,
                                                 std::uint64_t from) {
  while (from < arc->applied) {
    struct Read {
      std::vector<std::string> entries;
      std::optional<Error> error;
    };
    auto read = std::make_shared<Read>();
    CO_TRY_VOID(
        co_await arcs_.disk().read([read, number = arc->number, from, to_index = arc->applied](const RecordView& view) {
          std::size_t bytes = 0;
          view.scan(keys::log(number, from + 1), keys::log(number, to_index + 1),
                    [&](std::string_view key, std::string_view value) {
                      auto entry = decode_log_record(number, read_u64(key.substr(keys::kPrefixBytes)), value);
                      if (!entry)
                        read->error = entry.error();
                      else
                        read->entries.emplace_back(entry->payload);
                      bytes += value.size();
                      return !read->error && bytes < kPageBytesMax && read->entries.size() < kPageRecordsMax;
                    });
        }));
    if (read->error) co_return *read->error;
    if (read->entries.empty()) co_return Error{Errc::busy, "the log was cut"};
    Request request;
    auto& append = *request.header.mutable_arc_append();
    append.set_arc(arc->number);
    append.set_generation(generation);
    append.set_first_index(from + 1);
    from += read->entries.size();
    for (auto& entry : read->entries) append.add_entries(std::move(entry));
    CO_TRY(auto reply, co_await call(to, std::move(request), arc->frozen ? kFrozenTimeout : kMoveTimeout));
    if (reply.header.arc_append().durable_index() != from)
      co_return Error{Errc::busy, fmt::format("the taker has the log up to {}, not {}",
                                              reply.header.arc_append().durable_index(), from)};
  }
  co_return from;
}

awaitable<Result<void>> Mover::finish(ArcPtr arc) {
  Request request;
  auto& take = *request.header.mutable_arc_take();
  take.set_arc(arc->number);
  take.set_generation(arc->status.generation());
  take.set_index(arc->status.index());
  for (const auto& [block, length] : arcs_.blocks().list(arc->number)) take.add_blocks(block);
  auto taken = co_await call(arc->status.other(), std::move(request), kMoveTimeout);
  if (taken) co_return co_await arcs_.erase(arc);
  if (taken.code() != Errc::stale) co_return taken.error();
  // The taker says, durably, that it never took this generation and never will: the arc is ours again.
  disk::ArcStatus leading;
  leading.set_state(disk::ArcStatus::LEADING);
  CO_TRY_VOID(co_await arcs_.set_status(arc, std::move(leading)));
  co_return taken.error();
}

}  // namespace chordfs
