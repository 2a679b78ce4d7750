#include "tools/sim/arc_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "daemon/arc/arc.pb.h"
#include "daemon/arc/keys.h"
#include "daemon/arc/log_writer.h"
#include "daemon/arc/view_step.h"
#include "daemon/store/log_record.h"
#include "tools/sim/raft_disk.h"
#include "tools/sim/ring_world.h"

namespace chordfs {

namespace {
/// Records are hashed at applied indices that this divides, so that all replicas are looked at in the same states.
constexpr std::uint64_t kHashEvery = 32;
/// Steps until the next arc is asked whether what it committed is still there.
constexpr std::uint64_t kLookAgainEvery = 512;

template <class M>
bool parse_sealed(const RecordView& disk, const std::string& key, M& message) {
  const auto stored = disk.get(key);
  if (!stored) return false;
  const auto text = open_record(key, *stored);
  return text && message.ParseFromArray(text->data(), static_cast<int>(text->size()));
}
}  // namespace

// ---- Disks ----

ArcWatch::Store ArcWatch::store(Index node) const {
  return {node, ring_.wipes(node)};
}

std::shared_ptr<const RecordView> ArcWatch::durable(Index node) const {
  return ring_.disk(node).durable();
}

std::optional<ArcWatch::Index> ArcWatch::disk_of(ArcNumber arc, const Replica& replica) const {
  const auto known = uuids_.find(replica.node);
  if (known == uuids_.end() || known->second != store(known->second.first)) return std::nullopt;
  const auto node = known->second.first;
  disk::ArcReplica stands;
  if (!parse_sealed(*durable(node), keys::replica(arc), stands) || stands.gone()) return std::nullopt;
  if (Generation{stands.term(), stands.index()} != replica.generation) return std::nullopt;
  return node;
}

std::optional<std::uint64_t> ArcWatch::durable_term(Index node, ArcNumber arc, std::uint64_t index) const {
  const auto disk = durable(node);
  if (const auto stored = disk->get(keys::log(arc, index))) {
    const auto entry = decode_entry(arc, index, *stored);
    if (entry) return entry->term;
    return std::nullopt;
  }
  disk::LogBase base;
  if (!parse_sealed(*disk, keys::log_base(arc), base) || base.index() < index) return std::nullopt;
  return base.index() == index ? base.term() : 0;
}

std::optional<ArcWatch::Hard> ArcWatch::durable_hard(Index node, ArcNumber arc) const {
  disk::HardState hard;
  if (!parse_sealed(*durable(node), keys::hard_state(arc), hard)) return std::nullopt;
  return Hard{hard.term(), hard.vote()};
}

bool ArcWatch::holds(ArcNumber arc, const Replica& replica, std::uint64_t index, std::uint64_t term) const {
  const auto node = disk_of(arc, replica);
  if (!node) return false;
  const auto found = durable_term(*node, arc, index);
  return found && (*found == term || *found == 0);
}

bool ArcWatch::durable_on_majority(ArcNumber arc, const ArcView& view, std::uint64_t index, std::uint64_t term) const {
  return majority(view, [&](const Replica& voter) { return holds(arc, voter, index, term); });
}

// ---- After a step ----

void ArcWatch::look(const SimHost* only) {
  ++looks_;
  nodes_.resize(ring_.node_count());
  for (Index i = 0; i < nodes_.size(); ++i)
    if (only == nullptr || only == &ring_.host(i)) look_at_node(i);
  const auto arcs = ring_.map().count();
  if (looks_ % kLookAgainEvery == 0) look_again(static_cast<ArcNumber>(looks_ / kLookAgainEvery % arcs));
}

void ArcWatch::look_at_node(Index i) {
  const auto* node = ring_.node(i);
  if (node == nullptr) return;
  auto& known = nodes_[i];
  if (std::exchange(known.boots, ring_.host(i).incarnation()) != known.boots || uuids_.empty()) {
    Uuid uuid;
    Uuid::parse(node->self().node(), uuid);
    uuids_[uuid] = store(i);
  }
  for (const auto& [number, arc] : node->arcs()->parts()) look_at(i, *arc, known.arcs[number]);
}

void ArcWatch::died(Index node) {
  if (node < nodes_.size()) nodes_[node] = {};
}

void ArcWatch::look_at(Index node, Arc& arc, Seen& seen) {
  if (!arc.raft || arc.replacing) {
    if (seen.raft != nullptr && !arc.raft) look_at_gone(node, arc.number);
    if (!arc.raft) seen = {};
    return;
  }
  const auto& raft = *arc.raft;
  if (seen.raft != &raft) look_at_new(node, arc, seen);
  if (raft.leads()) look_at_matches(node, raft, seen);
  const auto& log = raft.log();
  const bool changed = seen.term != raft.term() || seen.commit != raft.commit() || seen.last != log.last() ||
                       seen.last_term != log.last_term() || seen.durable != raft.durable() ||
                       seen.applied != arc.applied || seen.view_index != raft.view_index() ||
                       seen.vote != raft.vote() || seen.leads != raft.leads();
  if (!changed) return;
  if (raft.fault() && !ring_.options().disk_faults)
    ring_.violation("I5: node " + std::to_string(node) + ": " + *raft.fault());
  if (seen.term != raft.term() || seen.vote != raft.vote()) seen.hard_pending = true;
  if (seen.hard_pending) look_at_hard_state(node, raft, seen);
  if (raft.leads() && (!seen.leads || seen.term != raft.term())) look_at_leader(node, raft, seen);
  if (raft.leads() && seen.view_index != raft.view_index() && raft.view().joint() && !raft.view_committed() &&
      log.term_at(raft.view_index()) == raft.term())
    ring_.blocks().joint_begins(arc.number, raft.view());
  look_at_entries(node, arc, seen);
  if (raft.durable() > seen.durable && raft.durable() <= log.last() && raft.durable() >= log.base()) {
    const auto found = durable_term(node, arc.number, raft.durable());
    if (!found || (*found != 0 && *found != log.term_at(raft.durable())))
      ring_.violation(fmt::format("I5: arc {}: node {} takes entry {} of term {} for durable, and its disk {}",
                                  arc.number, node, raft.durable(), log.term_at(raft.durable()).value_or(0),
                                  found ? fmt::format("holds one of term {}", *found) : "does not hold it"));
  }
  if (arc.applied != seen.applied && arc.applied % kHashEvery == 0) look_at_records(node, arc.number);
  seen.term = raft.term();
  seen.vote = raft.vote();
  seen.commit = raft.commit();
  seen.last = log.last();
  seen.last_term = log.last_term();
  seen.durable = raft.durable();
  seen.applied = arc.applied;
  seen.view_index = raft.view_index();
  seen.leads = raft.leads();
}

void ArcWatch::look_at_gone(Index node, ArcNumber arc) {
  if (auto found = history(arc).highest.find(store(node)); found != history(arc).highest.end())
    found->second.second = true;
}

/// A replica that was made, or read from disk.
void ArcWatch::look_at_new(Index node, const Arc& arc, Seen& seen) {
  const auto& raft = *arc.raft;
  seen = {.raft = &raft};
  // Begins with what the log holds: only what it learns from now on is news.
  seen.durable = raft.durable();
  auto& told = history(arc.number);
  const auto& self = raft.self();
  const auto generation = self.generation;
  auto [place, fresh] = told.stores.try_emplace(key(self), store(node));
  if (place->second != store(node))
    ring_.violation(fmt::format("I7: arc {}: generation ({}, {}) stands at node {} and stood on another store",
                                arc.number, generation.term, generation.index, node));
  auto [highest, first] = told.highest.try_emplace(store(node), generation, false);
  if (!first) {
    auto& [last, gone] = highest->second;
    if (generation < last || (generation == last && gone))
      ring_.violation(fmt::format("I7: arc {}: generation ({}, {}) is back at node {}", arc.number, generation.term,
                                  generation.index, node));
    if (generation > last) highest->second = {generation, false};
  }
  if (fresh && generation.index > 1) {
    const auto* made = told.at(generation.index);
    if (generation.index > told.committed || made == nullptr || made->term != generation.term)
      ring_.violation(
          fmt::format("I10: arc {}: node {} has a replica of generation ({}, {}), which no committed entry "
                      "made",
                      arc.number, node, generation.term, generation.index));
  }
  seen.hard_pending = true;
}

void ArcWatch::look_at_leader(Index node, const Raft& raft, Seen& seen) {
  seen.matches.clear();
  auto& told = history(raft.arc());
  auto [other, first] = told.leaders.try_emplace(raft.term(), raft.self().node);
  if (!first && other->second != raft.self().node)
    ring_.violation(
        fmt::format("I1: arc {} has two leaders of term {}, one of them node {}", raft.arc(), raft.term(), node));
  if (!first) return;
  const auto vote = raft.self().node.bytes();
  const bool voted = majority(raft.view(), [&](const Replica& voter) {
    const auto at = disk_of(raft.arc(), voter);
    if (!at) return true;  // Wiped or removed since: who knows.
    const auto hard = durable_hard(*at, raft.arc());
    return hard && (hard->term > raft.term() || (hard->term == raft.term() && hard->vote == vote));
  });
  if (!voted)
    ring_.violation(fmt::format("I9: node {} leads arc {} in term {} without a majority of durable votes", node,
                                raft.arc(), raft.term()));
}

/// What a leader believes of its members stands on their disks.
void ArcWatch::look_at_matches(Index node, const Raft& raft, Seen& seen) {
  for (const auto* set : {&raft.view().voters, &raft.view().old_voters, &raft.view().learners}) {
    for (const auto& member : *set) {
      const auto* progress = raft.progress(member);
      if (progress == nullptr) continue;
      auto& match = seen.matches[key(member)];
      if (progress->match <= match) continue;
      match = progress->match;
      const auto at = disk_of(raft.arc(), member);
      if (!at) continue;
      // One that follows another leader by now may have taken back what it told this one.
      if (const auto hard = durable_hard(*at, raft.arc()); hard && hard->term > raft.term()) continue;
      const auto term = raft.log().term_at(match).value_or(0);
      const auto found = durable_term(*at, raft.arc(), match);
      if (!found || (*found != 0 && term != 0 && *found != term))
        ring_.violation(fmt::format(
            "I5: arc {}: node {} believes that node {} holds entry {} of term {}, and its disk {}", raft.arc(), node,
            *at, match, term, found ? fmt::format("holds one of term {}", *found) : "does not"));
    }
  }
}

void ArcWatch::look_at_hard_state(Index node, const Raft& raft, Seen& seen) {
  const auto now = durable_hard(node, raft.arc());
  auto& told = history(raft.arc()).hard[{store(node), raft.self().generation}];
  const Hard found = now.value_or(Hard());
  if (found.term < told.term || (found.term == told.term && !told.vote.empty() && found.vote != told.vote))
    ring_.violation(
        fmt::format("I6: arc {}: the disk of node {} goes back from term {}, vote '{}' to term {}, vote '{}'",
                    raft.arc(), node, told.term, hex(told.vote), found.term, hex(found.vote)));
  told = found;
  seen.hard_pending = found.term != raft.term() || found.vote != (raft.vote().empty() ? "" : raft.vote().bytes());
}

void ArcWatch::look_at_entries(Index node, const Arc& arc, Seen& seen) {
  const auto& raft = *arc.raft;
  const auto& log = raft.log();
  auto& told = history(arc.number);
  const auto upto = std::min(std::max(raft.commit(), arc.applied), log.last());
  if (upto <= seen.checked) return;
  if (log.base() > seen.checked) {
    const auto* chosen = told.at(log.base());
    if (chosen != nullptr && log.base_term() != chosen->term)
      ring_.violation(fmt::format("I2: arc {}: node {} begins after entry {} of term {}, and term {} was committed",
                                  arc.number, node, log.base(), log.base_term(), chosen->term));
    if (chosen == nullptr && log.base() > 1)
      ring_.violation(fmt::format("I2: arc {}: node {} has a snapshot as of {}, which was never committed", arc.number,
                                  node, log.base()));
    if (!told.view) told.view = log.view_at(log.base());
    told.committed = std::max(told.committed, log.base());
  }
  for (auto index = std::max(seen.checked, log.base()) + 1; index <= upto; ++index) {
    const auto& entry = log.at(index);
    const Chosen mine{entry.term, hash_of(entry)};
    if (const auto* chosen = told.at(index)) {
      if (chosen->term != mine.term || chosen->hash != mine.hash) {
        ring_.violation(
            fmt::format("I2: arc {}: node {} has entry {} of term {}, and another, of term {}, was committed",
                        arc.number, node, index, mine.term, chosen->term));
        break;
      }
      continue;
    }
    if (told.chosen.size() <= index) told.chosen.resize(index + 1);
    told.chosen[index] = mine;
    committed_first(raft, seen, index, entry);
  }
  seen.checked = upto;
}

/// Nobody had it committed before.
void ArcWatch::committed_first(const Raft& raft, const Seen& seen, std::uint64_t index, const LogEntry& entry) {
  const auto arc = raft.arc();
  auto& told = history(arc);
  ++entries_committed_;
  told.committed = std::max(told.committed, index);
  // A view that was appended in this very step came after the count, perhaps.
  bool durable = durable_on_majority(arc, raft.view(), index, entry.term);
  if (!durable && raft.view_index() != seen.view_index && !raft.view_committed())
    durable = durable_on_majority(arc, raft.committed_view(), index, entry.term);
  if (!durable)
    ring_.violation(fmt::format("I3: arc {}: entry {} of term {} is committed without a durable majority of {}", arc,
                                index, entry.term, raft.view().text()));
  if (is_operation(entry.kind)) ring_.transactions().committed(arc, index, entry.payload);
  if (entry.kind != EntryKind::view) return;
  if (const auto view = view_from(entry.payload)) {
    look_at_view(arc, told, *view);
    told.view = view;
  }
}

void ArcWatch::look_at_view(ArcNumber arc, ArcHistory& told, const ArcView& next) {
  if (!told.view) return;
  const auto wrong = wrong_view(*told.view, next, [this](const Uuid& node) {
    const auto known = uuids_.find(node);
    return known != uuids_.end() && (ring_.leaving(known->second.first) || ring_.gone(known->second.first));
  });
  if (!wrong.empty()) ring_.violation(fmt::format("arc {}: {}", arc, wrong));
}

void ArcWatch::look_at_records(Index node, ArcNumber arc) {
  const auto disk = ring_.disk(node).visible();
  disk::LogBase base;
  const auto applied = disk->get(keys::applied(arc));
  if (!applied || applied->size() != 8 || !parse_sealed(*disk, keys::log_base(arc), base) || base.installing()) return;
  std::size_t sum = 0;
  disk->scan(keys::of_arc('a', arc), keys::end_of_arc('a', arc), [&](std::string_view key, std::string_view value) {
    for (const auto text : {key, value}) sum = (sum ^ std::hash<std::string_view>()(text)) * 0x9e3779b97f4a7c15;
    return true;
  });
  const auto index = read_u64(*applied);
  auto [other, first] = history(arc).records.try_emplace(index, sum);
  if (first) return;
  ++records_compared_;
  if (other->second != sum)
    ring_.violation(fmt::format("I4: arc {}: the records of node {} at {} are not those of another", arc, node, index));
}

void ArcWatch::compare_records() {
  for (Index i = 0; i < ring_.node_count(); ++i)
    if (const auto* node = ring_.node(i))
      for (const auto& [number, arc] : node->arcs()->parts())
        if (arc->raft && !arc->replacing && !arc->raft->passive()) look_at_records(i, number);
}

bool ArcWatch::spares(Index node) const {
  for (const auto& [number, told] : arcs_) {
    const auto* chosen = told.at(told.committed);
    if (!told.view || chosen == nullptr || told.view->joint()) return false;
    std::size_t whole = 0;
    for (const auto& voter : told.view->voters) {
      const auto at = disk_of(number, voter);
      if (!at || *at == node || ring_.node(*at) == nullptr || ring_.host(*at).paused()) continue;
      const auto arc = ring_.node(*at)->arcs()->find(number);
      if (!arc || !arc->raft || arc->replacing || arc->raft->passive() || arc->raft->view() != *told.view) continue;
      whole += holds(number, voter, told.committed, chosen->term) ? 1 : 0;
    }
    if (whole <= told.view->voters.size() / 2) return false;
  }
  return true;
}

/// What was committed last is still durable on majorities of the last committed view.
void ArcWatch::look_again(ArcNumber arc) {
  auto& told = history(arc);
  const auto* chosen = told.at(told.committed);
  if (!told.view || chosen == nullptr) return;
  // Once a joint view is committed its leader goes on to the new voters, and counts them alone from then on: no leader
  // of the joint view is elected without a majority of them.
  auto in_force = *told.view;
  in_force.old_voters.clear();
  const bool durable = majority(in_force, [&](const Replica& voter) {
    return uuids_.contains(voter.node) && uuids_.at(voter.node) != store(uuids_.at(voter.node).first)
               ? false
               : holds(arc, voter, told.committed, chosen->term);
  });
  if (!durable)
    ring_.violation(
        fmt::format("I3: arc {}: entry {} of term {} was committed and is no longer durable on a majority of {}", arc,
                    told.committed, chosen->term, told.view->text()));
}

}  // namespace chordfs
