#include "daemon/arc/snapshots.h"

#include <spdlog/spdlog.h>

#include "daemon/arc/keys.h"
#include "daemon/arc/log_writer.h"
#include "daemon/store/commit_when_room.h"
#include "daemon/store/log_record.h"

namespace chordfs {

namespace {
constexpr std::size_t kOpenMax = 64;
constexpr Duration kIdleMax = 20s;
constexpr std::size_t kPageBytesMax = 512U << 10;
constexpr std::size_t kFetchesMax = 8;
constexpr Duration kPageTimeout = 2s;
constexpr int kTriesMax = 3;
constexpr Duration kPause = 200ms;
constexpr Duration kStablePatience = 1s;
constexpr Duration kStablePoll = 50ms;
}  // namespace

Snapshots::Snapshots(Runtime& runtime, Disk& disk, std::shared_ptr<const StateMachine> machine, Hooks hooks)
    : runtime_(runtime),
      disk_(disk),
      machine_(std::move(machine)),
      hooks_(std::move(hooks)),
      fetching_(kFetchesMax),
      tasks_(runtime) {}

awaitable<void> Snapshots::stop() {
  tasks_.stop();
  co_await tasks_.join();
  open_.clear();
}

// ---- The one who has them. ----

void Snapshots::close_idle() {
  std::erase_if(open_, [&](const auto& one) { return one.second->touched + kIdleMax < runtime_.now(); });
}

awaitable<Result<std::uint64_t>> Snapshots::open(ArcPtr arc) {
  close_idle();
  if (open_.size() >= kOpenMax) co_return Error{Errc::busy, "too many fetch records from this node"};
  auto raft = arc->raft;
  auto one = std::make_shared<Open>();
  one->arc = arc->number;
  one->records = disk_.snapshot();
  auto index = std::make_shared<std::uint64_t>(0);
  CO_TRY_VOID(co_await disk_.read_at(one->records, [index, number = arc->number](const RecordView& view) {
    if (auto applied = view.get(keys::applied(number)); applied && applied->size() == 8) *index = read_u64(*applied);
  }));
  const auto term = raft->log().term_at(*index);
  if (raft != arc->raft || !term || raft->passive()) co_return Error{Errc::busy, "the arc is in flux here"};
  // What a replica begins with had better never be taken back. Unless it needs these records to make the majority that
  // says so.
  const auto until = runtime_.now() + kStablePatience;
  while (raft == arc->raft && raft->stable() < *index && runtime_.now() < until)
    co_await arc->changed.wait_for(runtime_, kStablePoll);
  if (raft != arc->raft || raft->passive() || !raft->log().term_at(*index))
    co_return Error{Errc::busy, "the arc is in flux here"};
  one->stable = std::min(raft->stable(), *index);
  one->index = *index;
  one->term = *term;
  one->view = raft->log().view_at(*index);
  one->view_index = raft->log().view_index_at(*index);
  one->touched = runtime_.now();
  auto id = runtime_.random() | 1;
  open_[id] = std::move(one);
  co_return id;
}

awaitable<Result<Reply>> Snapshots::page(wire::ArcPageRequest request) {
  auto arc = hooks_.find(request.arc());
  if (!arc || !arc->raft || arc->raft->passive() || arc->broken)
    co_return Error{Errc::not_owner, fmt::format("this node has no whole copy of arc {}", request.arc())};
  auto id = request.snapshot();
  if (id == 0) {
    CO_TRY(id, co_await open(arc));
  }
  auto found = open_.find(id);
  if (found == open_.end() || found->second->arc != request.arc())
    co_return Error{Errc::busy, "that snapshot is no more: begin again"};
  auto one = found->second;
  one->touched = runtime_.now();
  arc->keep_log_from = one->index;
  arc->keep_log_until = runtime_.now() + 2 * kIdleMax;
  Reply reply;
  auto page = std::make_shared<wire::ArcPage>();
  CO_TRY_VOID(co_await disk_.read_at(one->records,
                                     [page, number = request.arc(), from = request.from_key()](const RecordView& view) {
                                       std::size_t bytes = 0;
                                       page->set_last(true);
                                       view.scan(keys::record(number, from), keys::end_of_arc('a', number),
                                                 [&](std::string_view key, std::string_view value) {
                                                   if (bytes >= kPageBytesMax) {
                                                     page->set_last(false);
                                                     return false;
                                                   }
                                                   key.remove_prefix(keys::kPrefixBytes);
                                                   page->add_keys(key.data(), key.size());
                                                   page->add_values(value.data(), value.size());
                                                   bytes += key.size() + value.size();
                                                   return true;
                                                 });
                                     }));
  page->set_snapshot(id);
  page->set_index(one->index);
  page->set_term(one->term);
  page->set_stable(one->stable);
  *page->mutable_view() = to_wire(one->view);
  page->set_view_index(one->view_index);
  if (page->last()) open_.erase(id);
  *reply.header.mutable_arc_page() = std::move(*page);
  co_return reply;
}

// ---- The one who needs them. ----

void Snapshots::fetch(const ArcPtr& arc, const Replica& from) {
  if (arc->fetching) return;
  arc->fetching = true;
  arc->raft->set_passive(true);
  tasks_.spawn("fetch records", run(arc, from));
}

awaitable<void> Snapshots::run(ArcPtr arc, Replica from) {
  auto place = co_await fetching_.acquire();
  struct Fetching {
    Arc& arc;
    ~Fetching() {
      arc.fetching = false;
      arc.changed.notify_all();
    }
  };
  auto raft = arc->raft;
  {
    Fetching fetching{*arc};
    while (arc->applying) co_await arc->changed.wait();
    if (raft != nullptr && raft == arc->raft && !arc->replacing) {
      auto copied = co_await copy(arc, raft, from);
      if (!copied) {
        spdlog::debug("arc {}: records not fetched: {}", arc->number, copied.error().text());
        co_await runtime_.sleep(runtime_.jitter(kPause));
      }
    }
  }
  hooks_.touch(arc);  // Still passive: begins again.
}

awaitable<Result<wire::ArcPage>> Snapshots::ask(const Replica& from, wire::ArcPageRequest ask) {
  const auto peer = peer_of(from, hooks_.address(from));
  Error last;
  for (int i = 0; i < kTriesMax; ++i) {
    Request request;
    *request.header.mutable_arc_page() = ask;
    auto reply = answered(co_await hooks_.call(peer, std::move(request), kPageTimeout));
    if (reply) co_return std::move(*reply->header.mutable_arc_page());
    last = reply.error();
    if (last.code != Errc::timed_out && last.code != Errc::unreachable) break;
    co_await runtime_.sleep(runtime_.jitter(kPause));
  }
  co_return last;
}

awaitable<Result<void>> Snapshots::copy(ArcPtr arc, std::shared_ptr<Raft> raft, Replica from) {
  const auto number = arc->number;
  wire::ArcPageRequest ask_for;
  ask_for.set_arc(number);
  CO_TRY(auto page, co_await ask(from, ask_for));
  const auto index = page.index(), term = page.term(), view_index = page.view_index(), stable = page.stable();
  auto view = view_from(page.view());
  if (!view || term == 0) co_return Error{Errc::bad_message, "a snapshot without a view"};
  if (index < raft->log().base()) co_return Error{Errc::stale, "these records are older than ours"};
  // From here on what stands on disk is no state of the arc, until the last page is there.
  Batch begin;
  put_base(begin, number, raft->log(), raft->stable(), true);
  begin.erase_range(keys::of_arc('a', number), keys::end_of_arc('a', number));
  CO_TRY_VOID(co_await commit_when_room(runtime_, disk_, std::move(begin), Sync::yes, hooks_.fatal));
  for (;;) {
    if (page.keys_size() != page.values_size()) co_return Error{Errc::bad_message, "a page whose keys lack values"};
    Batch batch;
    for (int i = 0; i < page.keys_size(); ++i) {
      auto value = open_record(page.keys(i), page.values(i));
      if (!value) co_return Error{Errc::corrupt, "a record was altered on its way: " + value.error().context};
      if (!machine_->is_record(page.keys(i), *value) || page.keys(i).size() + keys::kPrefixBytes >= kKeyBytesMax)
        co_return Error{Errc::bad_message, "a record that the tree does not know"};
      batch.put(keys::record(number, page.keys(i)), page.values(i));
    }
    CO_TRY_VOID(co_await commit_when_room(runtime_, disk_, std::move(batch), Sync::no, hooks_.fatal));
    if (page.last()) break;
    if (page.keys().empty()) co_return Error{Errc::bad_message, "an empty page"};
    ask_for.set_snapshot(page.snapshot());
    ask_for.set_from_key(page.keys(page.keys_size() - 1) + '\0');
    CO_TRY(page, co_await ask(from, ask_for));
    if (page.index() != index) co_return Error{Errc::bad_message, "pages of two snapshots"};
  }
  if (raft != arc->raft || arc->replacing) co_return Error{Errc::stale, "the replica was replaced meanwhile"};
  if (!raft->install(index, term, std::move(*view), view_index, stable))
    co_return Error{Errc::stale, "these records are older than ours"};
  hooks_.touch(arc);
  // The log's writer puts the new base, in its order; then everything before it is durable too.
  while (raft == arc->raft && !arc->replacing && !raft->installed()) co_await arc->changed.wait();
  if (raft != arc->raft || arc->replacing) co_return Error{Errc::stale, "the replica was replaced meanwhile"};
  arc->applied = index;
  raft->set_passive(false);
  spdlog::debug("arc {}: records as of {} fetched from {}", number, index, hooks_.address(from).text());
  co_return Result<void>();
}

}  // namespace chordfs
