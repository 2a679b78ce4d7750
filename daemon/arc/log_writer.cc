#include "daemon/arc/log_writer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "daemon/arc/arc.pb.h"
#include "daemon/arc/keys.h"
#include "daemon/store/commit_when_room.h"
#include "daemon/store/log_record.h"

namespace chordfs {

namespace {
/// One sync carries at most this much, so that a flood cannot delay the first of it for long.
constexpr std::size_t kGroupEntriesMax = 1024;
constexpr std::size_t kGroupBytesMax = 8U << 20;
constexpr std::size_t kTermBytes = 8;
}  // namespace

std::string encode_entry(ArcNumber arc, std::uint64_t index, const LogEntry& entry) {
  std::string payload;
  payload.reserve(kTermBytes + entry.payload.size());
  append_u64(payload, entry.term);
  payload += entry.payload;
  return encode_log_record(arc, index, static_cast<std::uint8_t>(entry.kind), payload);
}

Result<LogEntry> decode_entry(ArcNumber arc, std::uint64_t index, std::string_view stored) {
  TRY(auto record, decode_log_record(arc, index, stored));
  if (record.payload.size() < kTermBytes || record.kind > static_cast<std::uint8_t>(EntryKind::synced))
    return Error{Errc::corrupt, fmt::format("entry {} of arc {} is none of ours", index, arc)};
  return LogEntry{.term = read_u64(record.payload),
                  .kind = static_cast<EntryKind>(record.kind),
                  .payload = std::string(record.payload.substr(kTermBytes))};
}

void put_base(Batch& batch, ArcNumber arc, const RaftLog& log, std::uint64_t stable, bool installing) {
  disk::LogBase base;
  base.set_index(log.base());
  base.set_term(log.base_term());
  *base.mutable_view() = to_wire(log.view_at(log.base()));
  base.set_view_index(log.view_index_at(log.base()));
  base.set_stable(std::min(stable, log.base()));
  base.set_installing(installing);
  batch.put(keys::log_base(arc), seal_record(keys::log_base(arc), base.SerializeAsString()));
}

void put_applied(Batch& batch, ArcNumber arc, std::uint64_t index) {
  std::string value;
  append_u64(value, index);
  batch.put(keys::applied(arc), std::move(value));
}

LogWriter::LogWriter(Runtime& runtime, Disk& disk, Hooks hooks)
    : runtime_(runtime), disk_(disk), hooks_(std::move(hooks)), tasks_(runtime) {}

void LogWriter::start() {
  tasks_.spawn("log", write_loop());
}

awaitable<void> LogWriter::stop() {
  tasks_.stop();
  co_await tasks_.join();
  queue_.clear();
}

void LogWriter::add(ArcPtr arc, Raft::Write write) {
  auto raft = arc->raft;
  queue_.push_back({std::move(arc), std::move(raft), std::move(write)});
  added_.notify_all();
}

std::vector<LogWriter::Job> LogWriter::take_group(Batch& batch) {
  std::vector<Job> group;
  std::set<ArcNumber> arcs;
  std::size_t entries = 0, bytes = 0;
  while (!queue_.empty() && entries < kGroupEntriesMax && bytes < kGroupBytesMax) {
    auto& job = queue_.front();
    if (job.raft != job.arc->raft || job.arc->replacing) {
      queue_.pop_front();
      continue;
    }
    const auto number = job.arc->number;
    const auto& write = job.write;
    // A batch erases before it puts: what takes back an entry of this very group goes into the next.
    if ((write.truncate || write.new_base) && arcs.contains(number)) break;
    arcs.insert(number);
    if (write.truncate) batch.erase_range(keys::log(number, *write.truncate), keys::end_of_arc('l', number));
    if (write.new_base) {
      batch.erase_range(keys::log(number, 0), keys::log(number, job.raft->log().base() + 1));
      put_base(batch, number, job.raft->log(), job.raft->stable(), false);
      put_applied(batch, number, job.raft->log().base());
    }
    if (write.hard) {
      disk::HardState hard;
      hard.set_term(write.hard->term);
      hard.set_doubt(write.hard->doubt);
      if (!write.hard->vote.empty()) hard.set_vote(write.hard->vote.bytes());
      batch.put(keys::hard_state(number), seal_record(keys::hard_state(number), hard.SerializeAsString()));
    }
    for (std::size_t i = 0; i < write.entries.size(); ++i) {
      batch.put(keys::log(number, write.first + i), encode_entry(number, write.first + i, write.entries[i]));
      bytes += write.entries[i].payload.size();
      ++entries;
    }
    group.push_back(std::move(job));
    queue_.pop_front();
  }
  return group;
}

awaitable<void> LogWriter::write_loop() {
  for (;;) {
    while (queue_.empty()) co_await added_.wait();
    Batch batch;
    auto group = take_group(batch);
    if (group.empty()) continue;
    const bool late = relaxed_ && std::ranges::all_of(group, [](const Job& job) { return job.write.may_be_late(); });
    auto written = co_await commit_when_room(
        runtime_, disk_, std::move(batch), late ? Sync::no : Sync::yes, hooks_.fatal, [this](const Error& error) {
          if (!std::exchange(full_, true)) spdlog::error("{}: nothing is taken until there is room", error.text());
        });
    if (!written) co_return;
    if (std::exchange(full_, false)) spdlog::info("the disk has room again");
    for (auto& job : group) {
      job.raft->persisted(job.write.id);
      if (job.raft == job.arc->raft) hooks_.written(job.arc);
    }
  }
}

}  // namespace chordfs
