// Raft: what a replica does with what its leader sends.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/arc/raft/defects.h"
#include "daemon/arc/raft/raft.h"

namespace chordfs {

/// It leads this term.
void Raft::follow(const Replica& from) {
  if (!leader_ || !(*leader_ == from)) agreed_ = stable();
  // What a process sent before it died may be read after the news of its death: true, but no sign of life.
  if (mourned_ && *mourned_ == from) return;
  role_ = Role::follower;
  leader_ = from;
  votes_.clear();
  silence_ = leaderless_ = 0;
  hurries_ = 0;
}

void Raft::on_append(const Replica& from, const wire::RaftMessage& message) {
  if (leads()) return;  // Two leaders of a term: impossible, unless somebody lies.
  follow(from);
  if (message.leasing()) since_leases_ = 0;
  agreed_ = std::max(agreed_, stable());
  if (message.log_index() >= log_.base() && !log_.matches(message.log_index(), message.log_term()))
    return reject(from, message);
  if (!take_entries(message)) return;
  const auto upto = message.log_index() + static_cast<std::uint64_t>(message.entries_size());
  // Below a base that is not stable nothing can be compared.
  if (upto >= log_.base()) agreed_ = std::max(agreed_, std::min(upto, log_.last()));
  commit_up_to(std::min(message.commit(), agreed_));
  acknowledge(from, message.round());
}

/// False if they cannot be true.
bool Raft::take_entries(const wire::RaftMessage& message) {
  auto index = message.log_index();
  for (const auto& entry : message.entries()) {
    ++index;
    if (index == log_.base() && stable() < index && entry.term() != log_.base_term()) {
      fault_ =
          fmt::format("arc {}: the records as of {} were fetched before they were synced, and then lost", arc_, index);
      return false;
    }
    if (index <= log_.base() || log_.matches(index, entry.term())) continue;
    if (index <= log_.last()) {
      if (index <= commit_ && options_.relaxed && index > stable_) {
        diverged_ = index;
        role_ = Role::follower;
        return false;
      }
      if (index <= commit_) {
        fault_ = fmt::format("arc {}: entry {} of term {} is committed here, and another is sent as of term {}", arc_,
                             index, *log_.term_at(index), entry.term());
        return false;
      }
      log_.truncate(index);
      ++epoch_;
      durable_ = std::min(durable_, index - 1);
      written_ = std::min(written_, index - 1);
      agreed_ = std::min(agreed_, index - 1);
      truncate_ = std::min(truncate_.value_or(index), index);
    }
    if (entry.kind() > static_cast<std::uint32_t>(EntryKind::synced) || entry.term() < log_.last_term()) return false;
    if (!append({entry.term(), static_cast<EntryKind>(entry.kind()), entry.payload()})) return false;
  }
  return true;
}

/// Only what is on disk, even if it is known to be committed (finding 6).
void Raft::acknowledge(const Replica& to, std::uint64_t round) {
  acknowledged_ = planted(Defect::ack_before_fsync) ? agreed_ : std::min(agreed_, durable_);
  wire::RaftMessage reply;
  reply.set_kind(wire::RaftMessage::APPEND_REPLY);
  reply.set_log_index(acknowledged_);
  reply.set_round(round);
  send(to, std::move(reply));
}

void Raft::reject(const Replica& to, const wire::RaftMessage& message) {
  auto hint = std::min(log_.last(), message.log_index() - 1);
  while (hint > log_.base() && log_.term_at(hint).value_or(0) > message.log_term()) --hint;
  wire::RaftMessage reply;
  reply.set_kind(wire::RaftMessage::APPEND_REPLY);
  reply.set_reject(true);
  reply.set_log_index(hint);
  reply.set_log_term(message.log_index());  // Which message it refuses.
  reply.set_round(message.round());
  send(to, std::move(reply));
}

void Raft::on_snapshot(const Replica& from, const wire::RaftMessage& message) {
  if (leads()) return;
  follow(from);
  if (message.leasing()) since_leases_ = 0;  // It confirms rounds like any other.
  const bool needless = message.log_index() <= stable() || log_.matches(message.log_index(), message.log_term());
  if (needless && !passive_) {
    if (log_.matches(message.log_index(), message.log_term())) {
      agreed_ = std::max(agreed_, message.log_index());
      commit_up_to(message.log_index());
    }
  } else if (options_.relaxed && message.log_index() <= commit_ && !passive_) {
    diverged_ = std::max(stable_, log_.base()) + 1;
    return;
  } else {
    wanted_snapshot_ = from;
  }
  acknowledge(from, message.round());
}

}  // namespace chordfs
