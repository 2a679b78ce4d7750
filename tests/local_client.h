#pragma once
// LocalClient: a Client whose ring is in memory. Real Tree, no nodes, no network: each call runs to its end in one turn
// of the executor, after one turn in which others may run. LocalRing is the ring; several clients may share one.
//
// It does what a leader does besides: a directory is not moved below itself, a closed session commits nothing anywhere,
// orphans are purged and blocks deleted as soon as nothing has them open, or names them.
//
// Owner: a test. The ring and the runtime outlive the clients. Thread: the Runtime's.
// Errors: as Client says; and whatever `LocalRing::fault` makes up. `locked` and `busy` cannot happen.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/tree/tree.h"
#include "proto/client/client.h"
#include "tests/daemon/tree/memory_records.h"

namespace chordfs {

class LocalRing {
 public:
  explicit LocalRing(ArcMap arcs = ArcMap(2));

  /// Asked before each call ("transact", "query", "put_block", "get_block"): an error is what the call returns,
  /// without having happened.
  std::function<Result<void>(std::string_view call)> fault;
  /// Calls that reached the ring, by the same names.
  std::map<std::string, std::uint64_t, std::less<>> calls;

  const ArcMap& arcs() const { return arcs_; }
  const MemoryRecords& records(ArcNumber arc) const { return records_.at(arc); }
  const std::map<std::string, Bytes>& blocks() const { return blocks_; }
  /// Ends a session behind its owner's back, as if it had expired.
  void expire(std::uint64_t session);

 private:
  friend class LocalClient;

  wire::Answer apply(ArcNumber arc, wire::Operation operation, std::int64_t now);
  wire::QueryAnswer query(ArcNumber arc, const wire::Query& query) const;
  wire::Answer transact(const wire::Transaction& transaction, const wire::Identity& identity, std::int64_t now);
  wire::Answer commit_all(const wire::Transaction& transaction, const wire::Identity& identity, std::int64_t now);
  /// What the first part that refuses says; without an error if all parts are prepared.
  wire::Answer prepare_all(const wire::Transaction& transaction, const wire::TxId& tx, std::int64_t now);
  bool is_open(std::uint64_t session) const;
  bool moves_below_itself(const wire::Transaction& transaction) const;
  void clear_up(ArcNumber arc, Time now);
  void clear_up_all(Time now);
  ArcNumber arc_of(std::uint64_t number) const;

  ArcMap arcs_;
  Tree tree_;
  std::vector<MemoryRecords> records_;
  std::vector<std::uint64_t> log_indices_;
  std::map<std::string, Bytes> blocks_;
  std::map<std::uint64_t, std::uint64_t> opens_;  ///< How often an inode is open, over all clients.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::map<std::uint64_t, wire::LockWait>> waits_;
  std::map<std::uint64_t, Time> opening_;  ///< Until when an inode counts as open without having been asserted.
};

class LocalClient final : public Client {
 public:
  LocalClient(Runtime& runtime, LocalRing& ring) : runtime_(runtime), ring_(ring) {}
  ~LocalClient() override;

  std::uint64_t session() const { return session_; }
  std::uint64_t last_session() const override { return last_session_; }

  Runtime& runtime() override { return runtime_; }
  const ArcMap& arcs() const override { return ring_.arcs(); }
  awaitable<Result<void>> open_session(std::string name) override;
  awaitable<void> close_session() override;
  awaitable<Result<void>> confirm_session() override;
  awaitable<Result<wire::Answer>> transact(wire::Transaction transaction, std::uint64_t opened) override;
  awaitable<Result<wire::QueryAnswer>> query(ArcNumber arc, wire::Query query) override;
  awaitable<Result<void>> put_block(std::string block, Bytes contents) override;
  awaitable<Result<Bytes>> get_block(std::string block, std::uint32_t offset, std::uint32_t length) override;
  void opened(std::uint64_t ino) override;
  void released(std::uint64_t ino) override;
  awaitable<Result<Location>> locate(Id id) override;
  awaitable<Result<std::vector<wire::Status>>> walk(bool with_blocks) override;

 private:
  /// A turn for the others; then the fault, if there is to be one.
  awaitable<Result<void>> enter(std::string call);
  wire::Identity next_identity();
  void drop_opens();

  Runtime& runtime_;
  LocalRing& ring_;
  std::uint64_t session_ = 0;
  std::uint64_t last_session_ = 0;
  std::uint64_t seq_ = 0;
  std::map<std::uint64_t, std::uint64_t> opens_;  ///< This client's share of the ring's.
};

}  // namespace chordfs
