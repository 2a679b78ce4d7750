#pragma once
// RingClient: the real Client. Finds arcs through the ring, remembers where they are, follows redirects, retries.
// Whom to call for an arc: who answered for it last; else whoever the location cache says owns it; else a lookup.
//
// Owner: a mount, a tool, or a node for its own errands. Thread: the Runtime's. connect() first (a node knows its ring
// and calls adopt() instead); stop() before destruction.

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "proto/client/client.h"
#include "proto/client/leases.h"
#include "proto/client/locations.h"
#include "proto/client/lookup.h"

namespace chordfs {

class RingClient : public Client {
 public:
  /// What is counted, for people and tests.
  struct Counters {
    std::uint64_t calls = 0, redirects = 0, retries = 0;
    LookupCounters lookups;
  };

  RingClient(Runtime& runtime, Transport& transport, std::vector<Endpoint> via);
  ~RingClient() override;

  /// Learns the ring's identity and its arcs from the first of `via` that answers.
  awaitable<Result<void>> connect();
  /// The same, known already, as a node knows it.
  void adopt(Uuid ring, ArcMap arcs);
  /// More nodes to ask when those known do not answer.
  void add_peer(Endpoint peer);
  awaitable<void> stop();

  Runtime& runtime() override { return runtime_; }
  const ArcMap& arcs() const override { return arcs_; }
  const Uuid& ring() const { return ring_; }
  const Counters& counters() const { return counters_; }
  /// 0 while there is none.
  std::uint64_t session() const { return session_; }
  std::uint64_t last_session() const override { return last_session_; }

  awaitable<Result<void>> open_session(std::string name) override;
  awaitable<void> close_session() override;
  awaitable<Result<void>> confirm_session() override;
  awaitable<Result<wire::Answer>> transact(wire::Transaction transaction, std::uint64_t opened) override;
  awaitable<Result<wire::QueryAnswer>> query(ArcNumber arc, wire::Query query) override;
  awaitable<Result<wire::QueryAnswer>> look(ArcNumber arc, wire::Query query) override;
  bool holds(ArcNumber arc, std::uint64_t stamp) override { return leases_ && leases_->holds(arc, stamp); }
  std::uint64_t lease_stamp(ArcNumber arc) override { return leases_ ? leases_->stamp(arc) : 0; }
  void lease(LeaseHolder& holder) override;
  bool leases() const override { return leases_.has_value(); }
  awaitable<Result<void>> put_block(std::string block, Bytes contents) override;
  awaitable<Result<Bytes>> get_block(std::string block, std::uint32_t offset, std::uint32_t length) override;
  awaitable<Result<void>> drop_blocks(ArcNumber arc, std::vector<std::string> blocks);
  bool relaxed() const override { return relaxed_; }
  awaitable<Result<void>> sync(ArcNumber arc) override;
  void opened(std::uint64_t ino) override;
  void released(std::uint64_t ino) override;
  awaitable<Result<Location>> locate(Id id) override;
  awaitable<Result<std::vector<wire::Status>>> walk(bool with_blocks) override;

  /// One operation straight into an arc's log. Only for operations that may be applied twice without harm.
  awaitable<Result<wire::Answer>> operate(ArcNumber arc, wire::Operation operation);
  /// One request to one node; the ring's identity is filled in.
  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout);
  /// A request to whoever leads the arc: found, redirected, retried until `deadline` from now.
  awaitable<Result<Reply>> call_arc(ArcNumber arc, Request request, Duration deadline = kClientDeadline);

 private:
  class Attempt;
  struct Outstanding;
  struct Walk;
  void count_guess();
  awaitable<Result<Location>> search(Id id, Locations* known, std::optional<Endpoint> dead, Time until);
  awaitable<Result<std::vector<Endpoint>>> candidates(ArcNumber arc, std::optional<Endpoint> dead, Time until);
  awaitable<void> visit(std::shared_ptr<Walk> walk, Endpoint node);
  /// The answer's lease becomes a stamp.
  template <class Answer>
  void stamp(ArcNumber arc, std::uint64_t session, Answer& answer);
  awaitable<Result<void>> sync_arc(ArcNumber arc);
  awaitable<void> renew();
  awaitable<void> assert_opens(ArcNumber arc, std::vector<std::uint64_t> inos);

  Runtime& runtime_;
  Transport& transport_;
  std::deque<Endpoint> via_;
  Uuid ring_;
  ArcMap arcs_;
  bool relaxed_ = false;
  std::map<ArcNumber, std::uint64_t> unsynced_;  ///< Relaxed: arcs changed, and by which change last.
  std::uint64_t changes_ = 0;
  std::map<ArcNumber, Endpoint> cache_;
  std::map<Endpoint, Time> silent_until_;  ///< Nodes that did not answer a moment ago.
  Locations locations_;
  std::uint64_t session_ = 0;
  std::uint64_t last_session_ = 0;
  bool renewing_ = false;
  Time renewed_{};  ///< The session was open at this moment or later.
  std::uint64_t next_seq_ = 1;
  std::set<std::uint64_t> outstanding_;
  Semaphore places_{kSessionCallsMax};
  std::map<std::uint64_t, std::size_t> opens_;
  Counters counters_;
  TaskGroup tasks_;
  std::optional<LeaseKeeper> leases_;
  TaskGroup asks_;  ///< Questions of lookups and walks, which may end after them.
};

}  // namespace chordfs
