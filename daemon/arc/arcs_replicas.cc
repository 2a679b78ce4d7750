// Arcs: replicas that come to this node and go from it.
#include <openssl/evp.h>
#include <spdlog/spdlog.h>

#include "daemon/arc/arc.pb.h"
#include "daemon/arc/arcs.h"
#include "daemon/arc/keys.h"
#include "daemon/arc/raft/defects.h"
#include "daemon/arc/view_changer.h"
#include "daemon/store/commit_when_room.h"
#include "daemon/store/log_record.h"

namespace chordfs {

namespace {
constexpr Duration kAskEvery = 3s;
constexpr Duration kAskTimeout = 1s;
constexpr Duration kRetirePause = 1s;
constexpr int kSilenceTicks = 30;
constexpr Duration kSuspectAfter = 2s;
}  // namespace

void Arcs::receive(const wire::RaftFrame& frame) {
  // While it is not known yet which replicas stand here, one that does would be taken for one to be made, and erased.
  if (!started_) return;
  Uuid from;
  // Meant for one that stood at this address before: it is no more.
  if (!Uuid::parse(frame.from().node(), from) || from == self_ || frame.to() != options_.self.node()) return;
  messenger_.heard(from, endpoint_of(frame.from()), frame.leaving(), runtime_.now());
  for (const auto& message : frame.messages())
    if (message.arc() < map_.count()) step(from, message);
}

void Arcs::died(const Endpoint& at) {
  if (!started_) return;
  for (const auto& [number, arc] : arcs_) {
    if (!arc->raft || arc->replacing || !arc->raft->leader() || arc->raft->leads()) continue;
    const auto leader = *arc->raft->leader();
    if (messenger_.address_of(leader) != at) continue;
    arc->raft->died(leader.node);
    touch(arc);
  }
}

void Arcs::step(const Uuid& from, const wire::RaftMessage& message) {
  auto arc = find(message.arc());
  if (arc && arc->replacing) return;
  const Generation to{message.to_term(), message.to_index()};
  if (arc && arc->raft && arc->raft->self().generation == to) {
    arc->raft->step(from, message);
    touch(arc);
    return;
  }
  // A generation that never stood here: this node was made a member, by an entry that is committed. Whatever older
  // replica it has was removed before.
  const bool leader = message.kind() == wire::RaftMessage::APPEND || message.kind() == wire::RaftMessage::SNAPSHOT;
  if (!leader || to.index == 0 || (arc && to <= arc->highest && !planted(Defect::generation_reused))) return;
  if (!arc) arc = arcs_[message.arc()] = std::make_shared<Arc>(message.arc());
  arc->replacing = true;
  tasks_.spawn("adopt", adopt(arc, to, message, from));
}

/// Durably forgets the records and the log; `replica` is what stands of it from now on.
awaitable<Result<void>> Arcs::erase(ArcPtr arc, disk::ArcReplica replica, bool anew) {
  const auto number = arc->number;
  arc->changed.notify_all();  // Whoever waits for a write of this replica waits in vain.
  while (arc->applying || arc->fetching) co_await arc->changed.wait();
  Batch batch;
  for (char kind : {'a', 'b', 'l', 'p', 'v'})
    batch.erase_range(keys::of_arc(kind, number), keys::end_of_arc(kind, number));
  batch.put(keys::replica(number), seal_record(keys::replica(number), replica.SerializeAsString()));
  if (anew) put_base(batch, number, RaftLog(0, 0, ArcView{}, 0), 0, true);
  co_return co_await commit_when_room(runtime_, disk_, std::move(batch), Sync::yes, hooks_.fatal);
}

awaitable<void> Arcs::adopt(ArcPtr arc, Generation generation, wire::RaftMessage message, Uuid from) {
  fail_waiting(*arc, not_owner(arc->number));
  disk::ArcReplica replica;
  replica.set_term(generation.term);
  replica.set_index(generation.index);
  if (!co_await erase(arc, replica, true)) co_return;
  arc->highest = generation;
  arc->led_term = 0;
  arc->complete.clear();
  make_replica(arc, {.arc = arc->number,
                     .self = {.node = self_, .at = endpoint_of(options_.self), .generation = generation},
                     .hard = {},
                     .log = RaftLog(0, 0, ArcView{}, 0),
                     .applied = 0,
                     .stable = 0,
                     .passive = true});
  arc->replacing = false;
  arc->raft->step(from, message);
  touch(arc);
  arc->changed.notify_all();
}

awaitable<void> Arcs::remove(ArcPtr arc) {
  if (std::exchange(arc->replacing, true)) co_return;
  fail_waiting(*arc, not_owner(arc->number));
  disk::ArcReplica gone;
  gone.set_term(arc->highest.term);
  gone.set_index(arc->highest.index);
  gone.set_gone(true);
  arc->retiring = true;
  if (!co_await erase(arc, gone, false)) co_return;
  arc->raft.reset();
  arc->applied = 0;
  arc->led_term = 0;
  arc->replacing = false;
  arc->changed.notify_all();
  co_await retire(arc);
}

/// Relaxed: what a majority lost with its power goes here too. What is stable stays, in the log; the records, which
/// have taken in more, are fetched again.
awaitable<void> Arcs::roll_back(ArcPtr arc) {
  if (std::exchange(arc->replacing, true)) co_return;
  const auto number = arc->number;
  const auto from = *arc->raft->diverged();
  spdlog::warn("arc {}: entries from {} on were lost by the others with their power: taken back here", number, from);
  fail_waiting(*arc, not_owner(number));
  arc->changed.notify_all();
  while (arc->applying || arc->fetching) co_await arc->changed.wait();
  Batch batch;
  batch.erase_range(keys::log(number, from), keys::end_of_arc('l', number));
  put_base(batch, number, arc->raft->log(), arc->raft->stable(), true);
  if (!co_await commit_when_room(runtime_, disk_, std::move(batch), Sync::yes, hooks_.fatal)) co_return;
  if (auto again = co_await recover_arc(number); !again) {
    hooks_.fatal(again.error());
    co_return;
  }
  arc->led_term = 0;
  arc->complete.clear();
  arc->replacing = false;
  touch(arc);
  arc->changed.notify_all();
}

/// A removed replica's blocks go once every member has them.
awaitable<void> Arcs::retire(ArcPtr arc) {
  arc->retiring = true;
  struct Retiring {
    Arc& arc;
    ~Retiring() { arc.retiring = false; }
  } retiring{*arc};
  while (!arc->raft && !arc->replacing) {
    if (blocks_.list(arc->number).empty() && blocks_.suspects(arc->number).empty()) co_return;
    if (auto view = co_await ask_view(arc->number); view && view->first.find(self_) == nullptr) {
      auto back = co_await copies_.hand_back(arc->number, view->first);
      if (back && *back && !arc->raft && !arc->replacing) {
        std::ignore = co_await blocks_.erase_arc(arc->number);
        co_return;
      }
    }
    spdlog::debug("arc {}: blocks not handed back yet", arc->number);
    co_await runtime_.sleep(runtime_.jitter(kRetirePause));
  }
}

/// The members, as the arc's leader knows them.
awaitable<std::optional<std::pair<ArcView, std::uint64_t>>> Arcs::ask_view(ArcNumber number) {
  auto desired = co_await hooks_.desired(number, {});
  if (!desired) co_return std::nullopt;
  for (const auto& node : desired->listed) {
    if (node.node == self_) continue;
    Request request;
    request.header.mutable_arc_view()->set_arc(number);
    auto reply = answered(co_await hooks_.call(peer_of(node, node.at), std::move(request), kAskTimeout));
    if (!reply) continue;
    if (auto view = view_from(reply->header.arc_view().view()))
      co_return std::pair(std::move(*view), reply->header.arc_view().index());
  }
  co_return std::nullopt;
}

Result<Reply> Arcs::view(const wire::ArcViewRequest& request) const {
  auto arc = find(request.arc());
  if (!arc || !arc->leads() || !arc->raft->ready()) return not_owner(request.arc());
  const auto& raft = *arc->raft;
  Reply reply;
  auto& view = *reply.header.mutable_arc_view();
  *view.mutable_view() = to_wire(raft.committed_view());
  view.set_index(raft.log().view_index_at(raft.commit()));
  return reply;
}

/// Nobody has spoken to this replica for long: those who knew it may all be gone.
awaitable<void> Arcs::ask_if_member(ArcPtr arc) {
  auto raft = arc->raft;
  auto view = co_await ask_view(arc->number);
  if (!view || raft != arc->raft || !raft || raft->heard_leader()) co_return;
  if (view->second < raft->self().generation.index || view->first.has(raft->self())) co_return;
  tasks_.spawn("remove a replica", remove(arc));
}

void Arcs::look_after(const ArcPtr& arc) {
  if (!arc->raft || arc->replacing || arc->raft->leads() || arc->raft->leaderless() < kSilenceTicks) return;
  if (arc->asked_if_member + kAskEvery > runtime_.now()) return;
  arc->asked_if_member = runtime_.now();
  tasks_.spawn("ask if member", ask_if_member(arc));
}

// ---- For people. ----

void Arcs::add_status(wire::Status& status) const {
  // A leader and its members hear one another several times a second; members among themselves do not.
  std::map<Uuid, Endpoint> silent;
  for (const auto& arc : all())
    for (const auto& member : arc->raft->view().everybody()) {
      const bool in_touch = arc->raft->leads() ? arc->raft->live(member)
                                               : arc->raft->leader() && arc->raft->leader()->node != member.node;
      if (member.node == self_ || messenger_.last_heard(member.node) + kSuspectAfter >= runtime_.now()) continue;
      if (!in_touch) silent[member.node] = messenger_.address_of(member);
    }
  for (const auto& [node, at] : silent) status.add_suspected(at.text());
  for (const auto& arc : all()) {
    const auto& raft = *arc->raft;
    auto& row = *status.add_arcs();
    row.set_arc(arc->number);
    row.set_applied(arc->applied);
    row.set_term(raft.term());
    row.set_commit(raft.commit());
    const auto usage = blocks_.usage(arc->number);
    row.set_blocks(usage.blocks);
    row.set_block_bytes(usage.bytes);
    row.set_state(raft.leads() ? "leader" : raft.view().votes(raft.self()) ? "voter" : "learner");
    if (leaving_) row.set_state("leaving");
    if (raft.leader() && (raft.leads() || raft.heard_leader())) {
      const auto& leader = *raft.leader();
      const auto at = raft.leads() ? endpoint_of(options_.self) : messenger_.address_of(leader);
      *row.mutable_leader() = peer_of(leader, at);
    }
    if (!raft.leads()) continue;
    for (const auto& member : raft.view().everybody()) {
      auto& one = *row.add_members();
      const auto at = member.node == self_ ? endpoint_of(options_.self) : messenger_.address_of(member);
      *one.mutable_peer() = peer_of(member, at);
      one.set_learner(!raft.view().votes(member));
      if (raft.view().joint()) {
        one.set_outgoing(find_replica(raft.view().voters, member.node) == nullptr && raft.view().votes(member));
        one.set_incoming(find_replica(raft.view().old_voters, member.node) == nullptr && raft.view().votes(member));
      }
      one.set_live(raft.live(member));
      const auto* known = raft.progress(member);
      one.set_matched(member.node == self_ ? raft.durable() : (known != nullptr ? known->match : 0));
      one.set_complete(changer_->complete(arc, member));
      one.set_bytes_left(member.node == self_ ? copies_.bytes_left(arc->number)
                                              : copies_.bytes_left_at(arc->number, member));
    }
  }
}

namespace {
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  void add(std::string_view bytes) {
    std::string length;
    append_u64(length, bytes.size());
    EVP_DigestUpdate(context_, length.data(), length.size());
    EVP_DigestUpdate(context_, bytes.data(), bytes.size());
  }
  std::string result() {
    std::string digest(32, '\0');
    EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(digest.data()), nullptr);
    return digest;
  }

 private:
  EVP_MD_CTX* context_;
};
}  // namespace

awaitable<Result<Reply>> Arcs::hash(wire::ArcHashRequest request) {
  auto arc = find(request.arc());
  if (!arc || !arc->raft) co_return not_owner(request.arc());
  if (arc->raft->passive() || arc->replacing) co_return Error{Errc::busy, "the records are being fetched"};
  auto raft = arc->raft;
  Reply reply;
  auto& hash = *reply.header.mutable_arc_hash();
  struct Found {
    std::uint64_t applied = 0;
    std::string digest;
  };
  auto found = std::make_shared<Found>();
  CO_TRY_VOID(co_await disk_.read([found, number = arc->number](const RecordView& view) {
    if (auto applied = view.get(keys::applied(number)); applied && applied->size() == 8)
      found->applied = read_u64(*applied);
    Sha256 sum;
    view.scan(keys::of_arc('a', number), keys::end_of_arc('a', number),
              [&](std::string_view key, std::string_view value) {
                sum.add(key);
                sum.add(value);
                return true;
              });
    found->digest = sum.result();
  }));
  hash.set_applied(found->applied);
  hash.set_records(std::move(found->digest));
  for (auto& suspect : blocks_.suspects(arc->number)) hash.add_broken(std::move(suspect));
  Sha256 sum;
  for (const auto& held : blocks_.list(arc->number)) {
    if (request.read_blocks()) {
      auto read = co_await blocks_.get(arc->number, held.id, 0, held.length);
      if (read.code() == Errc::no_block) continue;
      if (!read) {
        hash.add_broken(held.id);
        // Whoever reads a broken copy has it mended from another.
        std::ignore = co_await copies_.get(arc->number, held.id, 0, held.length, Copies::Look::anywhere);
        continue;
      }
    }
    std::string length;
    append_u32(length, held.length);
    sum.add(held.id);
    sum.add(length);
    hash.set_blocks(hash.blocks() + 1);
    hash.set_block_bytes(hash.block_bytes() + held.length);
  }
  hash.set_blocks_hash(sum.result());
  if (raft != arc->raft) co_return not_owner(request.arc());
  co_return reply;
}

}  // namespace chordfs
