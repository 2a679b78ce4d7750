#include "daemon/arc/arcs.h"

#include <spdlog/spdlog.h>

#include "daemon/arc/arc.pb.h"
#include "daemon/arc/arc_records.h"
#include "daemon/arc/keys.h"
#include "daemon/arc/raft/defects.h"
#include "daemon/arc/view_changer.h"
#include "daemon/store/log_record.h"

namespace chordfs {

namespace {
/// In all, from when it was asked: less than a client's patience with a node, for it takes one that is silent for dead.
/// A leader that is not ready by then says so; an operation that is not done is answered with what is known: nothing.
constexpr Duration kAnswerWithin = 700ms;
/// A node that says nothing for so long is not waited for with blocks.
constexpr Duration kHeardLately = 1s;

template <class M>
bool parse_sealed(const std::string& key, const std::string& stored, M& message) {
  auto text = open_record(key, stored);
  return text && message.ParseFromArray(text->data(), static_cast<int>(text->size()));
}
}  // namespace

Arcs::Arcs(Runtime& runtime, Disk& disk, BlockStore& blocks, std::shared_ptr<const StateMachine> machine,
           Options options, Hooks hooks)
    : runtime_(runtime),
      disk_(disk),
      blocks_(blocks),
      machine_(std::move(machine)),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      messenger_(options_.self, hooks_.post),
      writer_(runtime, disk, {.written = [this](const ArcPtr& arc) { touch(arc); }, .fatal = hooks_.fatal}),
      applier_(runtime, disk, machine_, {.applied = [this](const ArcPtr& arc) { touch(arc); }, .fatal = hooks_.fatal}),
      snapshots_(runtime, disk, machine_,
                 {.call = hooks_.call,
                  .find = [this](ArcNumber arc) { return find(arc); },
                  .address = [this](const Replica& replica) { return messenger_.address_of(replica); },
                  .touch = [this](const ArcPtr& arc) { touch(arc); },
                  .fatal = hooks_.fatal}),
      copies_(runtime, blocks, {.call = hooks_.call, .members = [this](ArcNumber arc) { return members_of(arc); }}),
      tasks_(runtime) {
  writer_.set_relaxed(options_.raft.relaxed);
  Uuid::parse(options_.self.node(), self_);
  changer_ = std::make_unique<ViewChanger>(*this);
}

Arcs::~Arcs() = default;

awaitable<Result<void>> Arcs::create(ArcMap map) {
  // A snapshot with an index of its own, so that nobody can take an empty replica for the beginning (finding 5).
  constexpr std::uint64_t kFirst = 1;
  Replica self{.node = self_, .at = endpoint_of(options_.self), .generation = {kFirst, kFirst}};
  RaftLog log(kFirst, kFirst, ArcView{.voters = {self}}, kFirst);
  disk::HardState hard;
  hard.set_term(kFirst);
  disk::ArcReplica replica;
  replica.set_term(kFirst);
  replica.set_index(kFirst);
  CO_TRY_VOID(co_await disk_.update([machine = machine_, map, log, hard, replica](const RecordView& view) {
    Overlay overlay(view);
    for (ArcNumber arc = 0; arc < map.count(); ++arc) {
      ArcRecords records(arc, overlay);
      machine->create(arc, records);
    }
    auto batch = overlay.take();
    for (ArcNumber arc = 0; arc < map.count(); ++arc) {
      batch.put(keys::replica(arc), seal_record(keys::replica(arc), replica.SerializeAsString()));
      batch.put(keys::hard_state(arc), seal_record(keys::hard_state(arc), hard.SerializeAsString()));
      put_base(batch, arc, log, log.base(), false);
      put_applied(batch, arc, log.base());
    }
    return batch;
  }));
  CO_TRY_VOID(co_await disk_.commit({}, Sync::yes));
  co_return co_await recover(map);
}

awaitable<Result<void>> Arcs::doubt() {
  CO_TRY_VOID(co_await disk_.update([](const RecordView& view) {
    Batch batch;
    view.scan("v", "w", [&](std::string_view key, std::string_view value) {
      disk::HardState hard;
      if (!parse_sealed(std::string(key), std::string(value), hard)) return true;  // recover() says so.
      // A term in which it has acknowledged nothing: whoever leads steps down, and forgets what this replica told it.
      hard.set_term(hard.term() + 1);
      hard.clear_vote();
      hard.set_doubt(hard.term());
      batch.put(std::string(key), seal_record(std::string(key), hard.SerializeAsString()));
      return true;
    });
    return batch;
  }));
  co_return co_await disk_.commit({}, Sync::yes);
}

awaitable<Result<void>> Arcs::recover(ArcMap map) {
  map_ = map;
  auto found = std::make_shared<std::vector<ArcNumber>>();
  CO_TRY_VOID(co_await disk_.read([found](const RecordView& view) {
    view.scan("m", "n", [&](std::string_view key, std::string_view) {
      if (key.size() == keys::kPrefixBytes) found->push_back(read_u32(key.substr(1)));
      return true;
    });
  }));
  for (auto arc : *found) CO_TRY_VOID(co_await recover_arc(arc));
  // Blocks of arcs that this node is no member of: others may lack them.
  for (auto arc : blocks_.arcs()) {
    auto& place = arcs_[arc];
    if (!place) place = std::make_shared<Arc>(arc);
  }
  co_return Result<void>();
}

awaitable<Result<void>> Arcs::recover_arc(ArcNumber number) {
  struct Found {
    std::optional<std::string> replica, hard, base, applied;
    std::vector<std::pair<std::uint64_t, std::string>> entries;
  };
  auto found = std::make_shared<Found>();
  CO_TRY_VOID(co_await disk_.read([found, number](const RecordView& view) {
    found->replica = view.get(keys::replica(number));
    found->hard = view.get(keys::hard_state(number));
    found->base = view.get(keys::log_base(number));
    found->applied = view.get(keys::applied(number));
    view.scan(keys::log(number, 0), keys::end_of_arc('l', number), [&](std::string_view key, std::string_view value) {
      found->entries.emplace_back(read_u64(key.substr(keys::kPrefixBytes)), std::string(value));
      return true;
    });
  }));
  const Error damaged{Errc::corrupt, fmt::format("what stands of arc {} failed its checksum: this data directory is "
                                                 "damaged; start with an empty one, the other copies fill it",
                                                 number)};
  disk::ArcReplica replica;
  disk::HardState hard;
  disk::LogBase base;
  if (!found->replica || !parse_sealed(keys::replica(number), *found->replica, replica)) co_return damaged;
  auto& place = arcs_[number];
  if (!place) place = std::make_shared<Arc>(number);
  auto arc = place;
  arc->highest = {replica.term(), replica.index()};
  if (replica.gone()) co_return Result<void>();
  if (!found->base || !parse_sealed(keys::log_base(number), *found->base, base)) co_return damaged;
  if (found->hard && !parse_sealed(keys::hard_state(number), *found->hard, hard)) co_return damaged;
  auto view = view_from(base.view());
  if (!view && base.index() != 0) co_return damaged;
  RaftLog log(base.index(), base.term(), view.value_or(ArcView{}), base.view_index());
  for (auto& [index, stored] : found->entries) {
    if (index <= log.base()) continue;
    auto entry = decode_entry(number, index, stored);
    if (!entry || index != log.last() + 1 || !log.append(std::move(*entry))) co_return damaged;
  }
  Raft::HardState hard_state{.term = hard.term(), .vote = {}, .doubt = hard.doubt()};
  if (!hard.vote().empty()) Uuid::parse(hard.vote(), hard_state.vote);
  std::uint64_t applied = base.index();
  if (!base.installing() && found->applied && found->applied->size() == 8)
    applied = std::max(applied, read_u64(*found->applied));
  if (applied > log.last()) co_return damaged;
  make_replica(arc, {.arc = number,
                     .self = {.node = self_, .at = endpoint_of(options_.self), .generation = arc->highest},
                     .hard = hard_state,
                     .log = std::move(log),
                     .applied = applied,
                     .stable = base.stable(),
                     .passive = base.installing()});
  co_return Result<void>();
}

void Arcs::make_replica(const ArcPtr& arc, Raft::Start start) {
  arc->applied = start.applied;
  arc->raft = std::make_shared<Raft>(
      std::move(start), [this](std::uint64_t below) { return runtime_.below(below); }, options_.raft);
}

void Arcs::start() {
  started_ = true;
  writer_.start();
  applier_.start();
  copies_.start();
  tasks_.spawn("tick", tick());
  tasks_.spawn("drive", drive());
  changer_->start();
  for (const auto& [number, arc] : arcs_) {
    copies_.changed(number);
    if (!arc->raft) tasks_.spawn("hand back", retire(arc));
  }
}

awaitable<void> Arcs::stop() {
  tasks_.stop();
  co_await tasks_.join();
  co_await changer_->stop();
  co_await copies_.stop();
  co_await snapshots_.stop();
  co_await applier_.stop();
  co_await writer_.stop();
  for (const auto& [number, arc] : arcs_) {
    fail_waiting(*arc, {Errc::cancelled, "the node is stopping"});
    arc->changed.notify_all();
  }
}

void Arcs::leave() {
  leaving_ = true;
  messenger_.leaving();
  changer_->nudge();
}

void Arcs::ring_changed() {
  changer_->nudge();
}

ArcPtr Arcs::find(ArcNumber arc) const {
  if (!started_) return nullptr;
  auto found = arcs_.find(arc);
  return found == arcs_.end() ? nullptr : found->second;
}

bool Arcs::leads(ArcNumber arc) const {
  auto found = find(arc);
  return found && found->leads();
}

std::vector<ArcPtr> Arcs::all() const {
  std::vector<ArcPtr> arcs;
  for (const auto& [number, arc] : arcs_)
    if (arc->raft) arcs.push_back(arc);
  return arcs;
}

std::size_t Arcs::parts_left() const {
  std::size_t parts = 0;
  for (const auto& [number, arc] : arcs_) parts += arc->raft || arc->retiring || arc->replacing;
  return parts;
}

Error Arcs::not_owner(ArcNumber arc) const {
  return {Errc::not_owner, fmt::format("this node does not lead arc {}", arc)};
}

std::optional<wire::Peer> Arcs::hint(ArcNumber number) const {
  auto arc = find(number);
  if (!arc || !arc->raft || !arc->raft->leader() || arc->raft->leads()) return std::nullopt;
  const auto& leader = *arc->raft->leader();
  return peer_of(leader, messenger_.address_of(leader));
}

awaitable<Result<ArcPtr>> Arcs::begin(ArcNumber number, Time until) {
  for (;;) {
    auto arc = find(number);
    if (!arc || !arc->leads()) co_return not_owner(number);
    if (arc->broken) co_return *arc->broken;
    if (arc->serves() && !arc->raft->transferring()) co_return arc;
    if (runtime_.now() >= until) co_return Error{Errc::busy, fmt::format("arc {} is not ready", number)};
    co_await arc->changed.wait_for(runtime_, until - runtime_.now());
  }
}

awaitable<Result<std::string>> Arcs::propose(ArcNumber number, std::string operation, EntryKind kind) {
  auto until = runtime_.now() + kAnswerWithin;
  CO_TRY(auto arc, co_await begin(number, until));
  if (writer_.full())
    co_return Error{Errc::disk_full, fmt::format("the disk of {} is full", endpoint_of(options_.self).text())};
  auto index = arc->raft->propose(std::move(operation), kind);
  if (!index) co_return not_owner(number);
  auto done = arc->waiting.emplace(*index, Arc::Waiter{.term = arc->raft->term(), .done = {}}).first->second.done;
  touch(arc);
  for (;;) {
    if (auto answer = co_await done.wait_for(runtime_, until - runtime_.now())) co_return std::move(*answer);
    until = runtime_.now() + kAnswerWithin;
    // Slow disks are no reason to give up; that the caller hears of us is one to wait for us.
    if (arc->leads() && arc->raft->heard_majority())
      co_return Error{Errc::timed_out, fmt::format("arc {}: its members are slow", number)};
  }
}

awaitable<Result<void>> Arcs::sync(ArcNumber number) {
  if (options_.raft.relaxed) CO_TRY_VOID(co_await propose(number, {}, EntryKind::nothing));
  co_return Result<void>();
}

awaitable<Result<std::string>> Arcs::query(ArcNumber number, std::string query) {
  const auto until = runtime_.now() + kAnswerWithin;
  CO_TRY(auto arc, co_await begin(number, until));
  auto raft = arc->raft;
  const auto term = raft->term();
  const auto index = raft->commit();
  const auto round = raft->request_round();
  touch(arc);
  // ReadIndex (Ongaro 6.4): a majority says, after we were asked, that we lead; and all that was committed is applied.
  while ((raft->confirmed_round() < round && !planted(Defect::stale_read)) || arc->applied < index) {
    if (raft != arc->raft || !raft->leads() || raft->term() != term) co_return not_owner(number);
    if (runtime_.now() >= until)
      co_return Error{raft->heard_majority() ? Errc::timed_out : Errc::busy,
                      fmt::format("arc {}: its members do not answer", number)};
    co_await arc->changed.wait_for(runtime_, until - runtime_.now());
  }
  if (!raft->leads() || raft->term() != term) co_return not_owner(number);
  struct Looked {
    std::string answer;
    bool corrupt = false;
  };
  auto looked = std::make_shared<Looked>();
  auto look = [machine = machine_, number, query = std::move(query), looked](const RecordView& view) {
    Overlay none(view);
    ArcRecords records(number, none);
    looked->answer = machine->query(number, records, query);
    looked->corrupt = records.corrupt();
  };
  if (!disk_.try_read(look)) CO_TRY_VOID(co_await disk_.read(std::move(look)));
  // Records that were erased meanwhile, because this node is no member any more, are no answer.
  if (raft != arc->raft || arc->replacing || arc->fetching) co_return not_owner(number);
  if (looked->corrupt) co_return Error{Errc::corrupt, fmt::format("a record of arc {} failed its checksum", number)};
  co_return std::move(looked->answer);
}

awaitable<Result<void>> Arcs::put_block(ArcNumber number, std::string block, Bytes contents, std::uint32_t crc) {
  CO_TRY(auto arc, co_await begin(number, runtime_.now() + kAnswerWithin));
  co_return co_await copies_.put(number, std::move(block), std::move(contents), crc);
}

awaitable<Result<void>> Arcs::drop_blocks(ArcNumber number, std::vector<std::string> blocks) {
  CO_TRY(auto arc, co_await begin(number, runtime_.now() + kAnswerWithin));
  co_return co_await copies_.drop(number, std::move(blocks), Copies::Drop::everywhere);
}

std::optional<Copies::Members> Arcs::members_of(ArcNumber number) const {
  auto arc = find(number);
  if (!arc || !arc->raft || arc->replacing) return std::nullopt;
  const auto& raft = *arc->raft;
  Copies::Members members{.view = raft.view(),
                          .term = raft.term(),
                          .view_index = raft.view_index(),
                          .self = raft.self(),
                          .leads = raft.leads(),
                          .live = {self_}};
  if (raft.leads())
    for (const auto& member : members.view.everybody())
      // A leader that has just been elected counts its members' silence anew; the node's is known for longer.
      if (raft.live(member) && messenger_.last_heard(member.node) + kHeardLately >= runtime_.now())
        members.live.insert(member.node);
  return members;
}

}  // namespace chordfs
