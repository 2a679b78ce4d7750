#include "daemon/arc/committer.h"

#include <set>

#include "daemon/arc/arc_records.h"
#include "daemon/arc/keys.h"
#include "daemon/store/log_record.h"

namespace chordfs {

namespace {
/// One sync carries at most this much, so that a flood cannot delay the first of it for long.
constexpr std::size_t kGroupEntriesMax = 1024;
constexpr std::size_t kGroupBytesMax = 8U << 20;
/// The log's tail is kept for a node that is being filled; it is cut in steps, for each cut leaves a tombstone.
constexpr std::uint64_t kLogKept = 1024;

struct Applied {
  std::vector<std::string> answers;
  std::vector<ArcNumber> corrupt;
};

struct ToApply {
  ArcNumber arc;
  std::uint64_t index;
  std::string operation;
};
struct Cut {
  ArcNumber arc;
  std::uint64_t up_to;
};

/// Runs on the disk's thread.
Batch apply_all(const StateMachine& machine, const std::vector<ToApply>& entries, const std::vector<Cut>& cuts,
                const RecordView& view, Applied& applied) {
  Overlay overlay(view);
  std::map<ArcNumber, ArcRecords> records;
  for (const auto& entry : entries) {
    auto& arc = records.try_emplace(entry.arc, entry.arc, overlay).first->second;
    applied.answers.push_back(arc.corrupt() ? std::string()
                                            : machine.apply(entry.arc, arc, entry.index, entry.operation));
    std::string index;
    append_u64(index, entry.index);
    overlay.put(keys::applied(entry.arc), std::move(index));
  }
  for (const auto& [number, arc] : records)
    if (arc.corrupt()) applied.corrupt.push_back(number);
  if (!applied.corrupt.empty()) return {};  // Nothing that may rest on a broken record is kept.
  auto batch = overlay.take();
  for (const auto& cut : cuts) batch.erase_range(keys::log(cut.arc, 0), keys::log(cut.arc, cut.up_to + 1));
  return batch;
}
}  // namespace

Committer::Committer(Runtime& runtime, Disk& disk, std::shared_ptr<const StateMachine> machine,
                     std::function<void(Error)> on_fatal)
    : disk_(disk), machine_(std::move(machine)), on_fatal_(std::move(on_fatal)), tasks_(runtime) {}

void Committer::start() {
  tasks_.spawn("log", log());
  tasks_.spawn("apply", apply());
}

awaitable<void> Committer::stop() {
  tasks_.stop();
  co_await tasks_.join();
  Error stopped{Errc::cancelled, "the node is stopping"};
  for (auto& entry : to_log_) entry.done.set(stopped);
  for (auto& group : to_apply_) fail(group, stopped);
  to_log_.clear();
  to_apply_.clear();
}

awaitable<Result<std::string>> Committer::append(ArcPtr arc, std::string operation) {
  CO_TRY_VOID(open());
  co_return co_await enqueue(std::move(arc), std::move(operation)).wait();
}

awaitable<Result<void>> Committer::append_all(ArcPtr arc, std::vector<std::string> operations) {
  CO_TRY_VOID(open());
  std::vector<OneShot<Result<std::string>>> waiting;
  for (auto& operation : operations) waiting.push_back(enqueue(arc, std::move(operation)));
  for (auto& done : waiting) CO_TRY_VOID(co_await done.wait());
  co_return Result<void>();
}

Result<void> Committer::open() const {
  if (fatal_) return *fatal_;
  if (tasks_.stopping()) return Error{Errc::cancelled, "the node is stopping"};
  return {};
}

OneShot<Result<std::string>> Committer::enqueue(ArcPtr arc, std::string operation) {
  OneShot<Result<std::string>> done;
  to_log_.push_back({std::move(arc), 0, std::move(operation), done});
  logging_.notify_all();
  return done;
}

awaitable<Result<void>> Committer::replay(ArcPtr arc, std::vector<std::pair<std::uint64_t, std::string>> entries) {
  Group group;
  for (auto& [index, operation] : entries) group.push_back({arc, index, std::move(operation), {}});
  if (group.empty()) co_return Result<void>();
  auto last = group.back().done;
  to_apply_.push_back(std::move(group));
  applying_.notify_all();
  CO_TRY_VOID(co_await last.wait());
  co_return Result<void>();
}

awaitable<void> Committer::log() {
  for (;;) {
    while (to_log_.empty()) co_await logging_.wait();
    Group group;
    Batch batch;
    std::size_t bytes = 0;
    while (!to_log_.empty() && group.size() < kGroupEntriesMax && bytes < kGroupBytesMax) {
      auto& entry = group.emplace_back(std::move(to_log_.front()));
      to_log_.pop_front();
      entry.index = ++entry.arc->last;
      bytes += entry.operation.size();
      batch.put(keys::log(entry.arc->number, entry.index),
                encode_log_record(entry.arc->number, entry.index, keys::kOperation, entry.operation));
    }
    auto written = fatal_ ? Result<void>(*fatal_) : co_await disk_.commit(std::move(batch), Sync::yes);
    if (written) {
      to_apply_.push_back(std::move(group));
      applying_.notify_all();
      continue;
    }
    for (auto entry = group.rbegin(); entry != group.rend(); ++entry) entry->arc->last = entry->index - 1;
    if (written.code() != Errc::disk_full && written.code() != Errc::cancelled && !fatal_) {
      fatal_ = written.error();
      on_fatal_(*fatal_);
    }
    fail(group, written.error());
  }
}

awaitable<void> Committer::apply() {
  for (;;) {
    while (to_apply_.empty()) co_await applying_.wait();
    Group all;
    for (auto& group : to_apply_) std::move(group.begin(), group.end(), std::back_inserter(all));
    to_apply_.clear();
    co_await apply_group(std::move(all));
  }
}

awaitable<void> Committer::apply_group(Group group) {
  std::vector<ToApply> entries;
  std::map<ArcNumber, Cut> cuts;
  for (auto& entry : group) {
    entries.push_back({entry.arc->number, entry.index, std::move(entry.operation)});
    auto& arc = *entry.arc;
    if (entry.index < arc.log_cut + 2 * kLogKept) continue;
    auto up_to = std::min(entry.index - kLogKept, arc.keep_log_from.value_or(entry.index));
    if (up_to > arc.log_cut) cuts[arc.number] = {arc.number, arc.log_cut = up_to};
  }
  std::vector<Cut> cut_list;
  for (auto& [number, cut] : cuts) cut_list.push_back(cut);

  auto applied = std::make_shared<Applied>();
  auto written = co_await disk_.update([machine = machine_, entries = std::move(entries), cuts = std::move(cut_list),
                                        applied](const RecordView& view) {
    return apply_all(*machine, entries, cuts, view, *applied);
  });
  if (!written) {
    if (!fatal_ && written.code() != Errc::cancelled) on_fatal_(*(fatal_ = written.error()));
    fail(group, written.error());
    co_return;
  }
  if (!applied->corrupt.empty()) {
    fatal_ = Error{Errc::corrupt, fmt::format("a record of arc {} failed its checksum: this data directory is damaged; "
                                              "restore it, or start with an empty one",
                                              applied->corrupt.front())};
    on_fatal_(*fatal_);
    fail(group, *fatal_);
    co_return;
  }
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].arc->applied = group[i].index;
    group[i].done.set(std::move(applied->answers[i]));
  }
  for (auto& entry : group) entry.arc->changed.notify_all();
}

void Committer::fail(Group& group, const Error& error) {
  for (auto& entry : group) {
    entry.done.set(error);
    entry.arc->changed.notify_all();
  }
}

}  // namespace chordfs
