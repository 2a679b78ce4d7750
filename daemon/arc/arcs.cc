#include "daemon/arc/arcs.h"

#include "daemon/arc/arc_records.h"
#include "daemon/arc/keys.h"
#include "daemon/store/log_record.h"
#include "proto/base/check.h"

namespace chordfs {

namespace {
constexpr Duration kPassOnTimeout = 2s;

struct FoundArc {
  ArcNumber number = 0;
  std::string status;
  std::uint64_t applied = 0;
};

std::vector<FoundArc> scan_statuses(const RecordView& view) {
  std::vector<FoundArc> found;
  view.scan("m", "n", [&](std::string_view key, std::string_view value) {
    if (key.size() == keys::kPrefixBytes) found.push_back({read_u32(key.substr(1)), std::string(value), 0});
    return true;
  });
  for (auto& arc : found)
    if (auto applied = view.get(keys::applied(arc.number)); applied && applied->size() == 8)
      arc.applied = read_u64(*applied);
  return found;
}
}  // namespace

/// Counts one piece of work that a move must wait for.
class Arcs::UnderWay {
 public:
  explicit UnderWay(ArcPtr arc) : arc_(std::move(arc)) { ++arc_->under_way; }
  UnderWay(UnderWay&&) = default;
  ~UnderWay() {
    if (arc_ && --arc_->under_way == 0 && arc_->frozen) arc_->changed.notify_all();
  }
  const ArcPtr& operator*() const { return arc_; }
  Arc* operator->() const { return arc_.get(); }

 private:
  ArcPtr arc_;
};

Arcs::Arcs(Runtime& runtime, Disk& disk, BlockStore& blocks, std::shared_ptr<const StateMachine> machine, Hooks hooks)
    : runtime_(runtime),
      disk_(disk),
      blocks_(blocks),
      machine_(std::move(machine)),
      hooks_(std::move(hooks)),
      committer_(runtime, disk, machine_, hooks_.fatal) {}

awaitable<Result<void>> Arcs::create(ArcMap map) {
  disk::ArcStatus leading;
  leading.set_state(disk::ArcStatus::LEADING);
  auto status = leading.SerializeAsString();
  CO_TRY_VOID(co_await disk_.update([machine = machine_, map, status](const RecordView& view) {
    Overlay overlay(view);
    for (ArcNumber arc = 0; arc < map.count(); ++arc) {
      ArcRecords records(arc, overlay);
      machine->create(arc, records);
      overlay.put(keys::status(arc), seal_record(keys::status(arc), status));
    }
    return overlay.take();
  }));
  CO_TRY_VOID(co_await disk_.commit({}, Sync::yes));
  co_return co_await recover();
}

awaitable<Result<void>> Arcs::recover() {
  auto found = std::make_shared<std::vector<FoundArc>>();
  CO_TRY_VOID(co_await disk_.read([found](const RecordView& view) { *found = scan_statuses(view); }));
  for (const auto& one : *found) {
    auto status = open_record(keys::status(one.number), one.status);
    auto arc = add(one.number);
    if (!status || !arc->status.ParseFromArray(status->data(), static_cast<int>(status->size())))
      co_return Error{Errc::corrupt, fmt::format("the status of arc {} failed its checksum", one.number)};
    arc->applied = arc->last = one.applied;
    CO_TRY_VOID(co_await recover_log(arc));
    if (!arc->leads()) continue;
    arc->led_since = runtime_.now();
    hooks_.led(arc->number);
  }
  co_return Result<void>();
}

awaitable<Result<void>> Arcs::recover_log(ArcPtr arc) {
  struct Found {
    std::vector<std::pair<std::uint64_t, std::string>> entries;
    std::optional<Error> error;
    std::uint64_t first = 0;
  };
  auto found = std::make_shared<Found>();
  CO_TRY_VOID(co_await disk_.read([found, number = arc->number, applied = arc->applied](const RecordView& view) {
    view.scan(keys::log(number, 0), keys::end_of_arc('l', number), [&](std::string_view key, std::string_view) {
      found->first = read_u64(key.substr(keys::kPrefixBytes));
      return false;
    });
    view.scan(keys::log(number, applied + 1), keys::end_of_arc('l', number),
              [&](std::string_view key, std::string_view value) {
                auto index = read_u64(key.substr(keys::kPrefixBytes));
                auto entry = decode_log_record(number, index, value);
                if (!entry)
                  found->error = entry.error();
                else
                  found->entries.emplace_back(index, std::string(entry->payload));
                return !found->error;
              });
  }));
  if (found->error) co_return *found->error;
  arc->log_cut = found->first == 0 ? arc->applied : found->first - 1;
  if (!found->entries.empty()) arc->last = found->entries.back().first;
  co_return co_await committer_.replay(arc, std::move(found->entries));
}

awaitable<void> Arcs::stop() {
  co_await committer_.stop();
}

ArcPtr Arcs::find(ArcNumber arc) const {
  auto found = arcs_.find(arc);
  return found == arcs_.end() ? nullptr : found->second;
}

bool Arcs::leads(ArcNumber arc) const {
  auto found = find(arc);
  return found && found->leads();
}

std::vector<ArcPtr> Arcs::all() const {
  std::vector<ArcPtr> arcs;
  for (const auto& [number, arc] : arcs_) arcs.push_back(arc);
  return arcs;
}

ArcPtr Arcs::add(ArcNumber arc) {
  auto& place = arcs_[arc];
  if (!place) place = std::make_shared<Arc>(arc);
  return place;
}

Error Arcs::not_owner(ArcNumber arc) const {
  return {Errc::not_owner, fmt::format("this node does not hold arc {}", arc)};
}

awaitable<Result<Arcs::UnderWay>> Arcs::begin(ArcNumber number, bool as_learner) {
  for (;;) {
    auto arc = find(number);
    if (!arc) co_return not_owner(number);
    if (arc->broken) co_return *arc->broken;
    if (as_learner && arc->status.state() == disk::ArcStatus::LEARNING) co_return UnderWay(arc);
    if (!arc->leads()) co_return not_owner(number);
    if (!arc->frozen) co_return UnderWay(arc);
    co_await arc->changed.wait();
  }
}

awaitable<Result<std::string>> Arcs::propose(ArcNumber number, std::string operation) {
  CO_TRY(auto arc, co_await begin(number));
  co_return co_await committer_.append(*arc, std::move(operation));
}

awaitable<Result<std::string>> Arcs::query(ArcNumber number, std::string query) {
  // With one member, leading it is the quorum; the disk's view holds all that was answered before.
  CO_TRY(auto arc, co_await begin(number));
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
  if (looked->corrupt) co_return Error{Errc::corrupt, fmt::format("a record of arc {} failed its checksum", number)};
  co_return std::move(looked->answer);
}

awaitable<Result<void>> Arcs::put_block(ArcNumber number, std::string block, Bytes contents, std::uint32_t crc,
                                        bool passed_on) {
  CO_TRY(auto arc, co_await begin(number, passed_on));
  CO_TRY_VOID(co_await blocks_.put(number, block, contents, crc));
  if (auto to = arc->moving_to; to && !passed_on) {
    Request request;
    auto& put = *request.header.mutable_put_block();
    put.set_arc(number);
    put.set_block(block);
    put.set_crc(crc);
    put.set_passed_on(true);
    request.payload = std::move(contents);
    // The block is safe here; it is the move that fails if it cannot be passed on.
    if (!co_await hooks_.call(*to, std::move(request), kPassOnTimeout)) arc->pass_on_failed = true;
  }
  co_return Result<void>();
}

awaitable<Result<BlockStore::Part>> Arcs::get_block(ArcNumber number, std::string block, std::uint32_t offset,
                                                    std::uint32_t length) {
  // Blocks never change, so any copy will do, whatever this node's part in the arc is; only absence must be certain.
  auto read = co_await blocks_.get(number, block, offset, length);
  if (read || read.code() != Errc::no_block || leads(number)) co_return read;
  co_return not_owner(number);
}

awaitable<Result<void>> Arcs::drop_blocks(ArcNumber number, std::vector<std::string> blocks) {
  CO_TRY(auto arc, co_await begin(number));
  for (const auto& block : blocks) CO_TRY_VOID(co_await blocks_.erase(number, block));
  co_return Result<void>();
}

std::optional<wire::Peer> Arcs::hint(ArcNumber arc) const {
  if (auto found = find(arc); found && !found->leads()) return found->status.other();
  auto hint = hints_.find(arc);
  return hint == hints_.end() ? std::nullopt : std::optional(hint->second);
}

void Arcs::set_hint(ArcNumber arc, wire::Peer holder) {
  hints_[arc] = std::move(holder);
}

awaitable<Result<void>> Arcs::set_status(ArcPtr arc, disk::ArcStatus status, Batch batch) {
  auto key = keys::status(arc->number);
  batch.put(key, seal_record(key, status.SerializeAsString()));
  if (auto written = co_await disk_.commit(std::move(batch), Sync::yes); !written) {
    // Unknown which status a restart will find: until then this node must not act on either.
    if (written.code() != Errc::disk_full) {
      arc->broken = written.error();
      if (written.code() != Errc::cancelled) hooks_.fatal(written.error());
    }
    co_return written;
  }
  bool began = status.state() == disk::ArcStatus::LEADING && !arc->leads();
  arc->status = std::move(status);
  arc->changed.notify_all();
  if (began) {
    hints_.erase(arc->number);
    arc->led_since = runtime_.now();
    hooks_.led(arc->number);
  }
  co_return Result<void>();
}

awaitable<Result<void>> Arcs::erase(ArcPtr arc) {
  Batch batch;
  for (char kind : {'a', 'l', 'm', 'p'})
    batch.erase_range(keys::of_arc(kind, arc->number), keys::end_of_arc(kind, arc->number));
  // Blocks last: without a status they are swept at the next start, but a status without blocks would be a lie.
  CO_TRY_VOID(co_await disk_.commit(std::move(batch), Sync::yes));
  hints_[arc->number] = arc->status.other();
  arcs_.erase(arc->number);
  arc->status.Clear();
  arc->changed.notify_all();
  co_return co_await blocks_.erase_arc(arc->number);
}

}  // namespace chordfs
