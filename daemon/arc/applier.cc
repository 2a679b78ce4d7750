#include "daemon/arc/applier.h"

#include <algorithm>

#include "daemon/arc/arc_records.h"
#include "daemon/arc/keys.h"
#include "daemon/arc/log_writer.h"

namespace chordfs {

namespace {
constexpr std::size_t kRoundEntriesMax = 4096;
constexpr std::size_t kRoundBytesMax = 16U << 20;
/// A log is cut in steps, for each cut leaves a tombstone; its tail is kept for members that are a little behind.
constexpr std::size_t kLogEntriesMax = 2048;
constexpr std::size_t kLogBytesMax = 2U << 20;

struct ToApply {
  ArcNumber arc;
  std::uint64_t index;
  EntryKind kind;
  std::string operation;
};

struct Applied {
  std::vector<std::string> answers;  ///< One for each entry.
  std::optional<ArcNumber> corrupt;
};

/// Runs on the disk's thread.
Batch apply_all(const StateMachine& machine, const std::vector<ToApply>& entries, const Batch& cuts,
                const RecordView& view, Applied& applied) {
  Overlay overlay(view);
  std::map<ArcNumber, ArcRecords> records;
  std::map<ArcNumber, std::uint64_t> last;
  for (const auto& entry : entries) {
    auto& arc = records.try_emplace(entry.arc, entry.arc, overlay).first->second;
    const bool operation = is_operation(entry.kind) && !arc.corrupt();
    applied.answers.push_back(operation ? machine.apply(entry.arc, arc, entry.index, entry.operation) : std::string());
    last[entry.arc] = entry.index;
  }
  for (const auto& [number, arc] : records)
    if (arc.corrupt()) applied.corrupt = number;
  if (applied.corrupt) return {};  // Nothing that may rest on a broken record is kept.
  auto batch = overlay.take();
  for (const auto& [number, index] : last) put_applied(batch, number, index);
  batch.erased.insert(batch.erased.end(), cuts.erased.begin(), cuts.erased.end());
  batch.changes.insert(batch.changes.end(), cuts.changes.begin(), cuts.changes.end());
  return batch;
}

/// Cuts the log in memory; the batch does it on disk.
void cut_if_long(Arc& arc, Time now, Batch& batch) {
  const auto& log = arc.raft->log();
  if (log.size() < kLogEntriesMax && log.bytes() < kLogBytesMax) return;
  auto up_to = std::min({arc.applied, arc.raft->stable(), log.base() + log.size() / 2});
  if (arc.keep_log_until > now) up_to = std::min(up_to, arc.keep_log_from);
  if (up_to <= log.base()) return;
  arc.raft->cut(up_to);
  batch.erase_range(keys::log(arc.number, 0), keys::log(arc.number, up_to + 1));
  put_base(batch, arc.number, arc.raft->log(), arc.raft->stable(), false);
}
}  // namespace

Applier::Applier(Runtime& runtime, Disk& disk, std::shared_ptr<const StateMachine> machine, Hooks hooks)
    : runtime_(runtime), disk_(disk), machine_(std::move(machine)), hooks_(std::move(hooks)), tasks_(runtime) {}

void Applier::start() {
  tasks_.spawn("apply", loop());
}

awaitable<void> Applier::stop() {
  tasks_.stop();
  co_await tasks_.join();
  arcs_.clear();
}

void Applier::add(ArcPtr arc) {
  arcs_[arc->number] = std::move(arc);
  added_.notify_all();
}

awaitable<void> Applier::loop() {
  for (;;) {
    while (arcs_.empty()) co_await added_.wait();
    if (!co_await round()) co_return;
  }
}

awaitable<bool> Applier::round() {
  struct Part {
    ArcPtr arc;
    std::shared_ptr<Raft> raft;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> entries;  ///< Index and term.
  };
  std::vector<ToApply> entries;
  std::vector<Part> parts;
  Batch cuts;
  std::size_t bytes = 0;
  while (!arcs_.empty() && entries.size() < kRoundEntriesMax && bytes < kRoundBytesMax) {
    auto arc = arcs_.extract(arcs_.begin()).mapped();
    if (!arc->raft || arc->replacing || arc->raft->passive() || arc->broken) continue;
    const auto& log = arc->raft->log();
    Part part{arc, arc->raft, {}};
    for (auto index = arc->applied + 1; index <= arc->raft->committed_here() && index > log.base(); ++index) {
      const auto& entry = log.at(index);
      entries.push_back({arc->number, index, entry.kind, entry.payload});
      part.entries.emplace_back(index, entry.term);
      bytes += entry.payload.size();
    }
    if (part.entries.empty()) continue;
    arc->applying = true;
    parts.push_back(std::move(part));
  }
  if (entries.empty()) co_return true;
  for (auto& part : parts) cut_if_long(*part.arc, runtime_.now(), cuts);

  auto applied = std::make_shared<Applied>();
  auto written =
      co_await disk_.update([machine = machine_, entries = std::move(entries), cuts = std::move(cuts), applied](
                                const RecordView& view) { return apply_all(*machine, entries, cuts, view, *applied); });
  for (auto& part : parts) part.arc->applying = false;
  if (written && applied->corrupt)
    written =
        Error{Errc::corrupt, fmt::format("a record of arc {} failed its checksum: this data directory is damaged; "
                                         "start with an empty one, the other copies fill it",
                                         *applied->corrupt)};
  if (!written) {
    for (auto& part : parts) part.arc->changed.notify_all();
    if (written.code() != Errc::cancelled) hooks_.fatal(written.error());
    co_return false;
  }
  std::size_t answer = 0;
  for (auto& part : parts) {
    auto& arc = *part.arc;
    for (const auto& [index, term] : part.entries) {
      auto& text = applied->answers[answer++];
      if (part.raft != arc.raft) continue;
      arc.applied = index;
      auto waiter = arc.waiting.find(index);
      if (waiter == arc.waiting.end()) continue;
      auto waiting = std::move(waiter->second);
      arc.waiting.erase(waiter);
      if (waiting.term == term)
        waiting.done.set(std::move(text));
      else
        waiting.done.set(Error{Errc::not_owner, fmt::format("another leader of arc {} went before", arc.number)});
    }
    arc.changed.notify_all();
    hooks_.applied(part.arc);
  }
  co_return true;
}

}  // namespace chordfs
