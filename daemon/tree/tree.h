#pragma once
// Tree: the filesystem's records as a state machine: inodes, directories, maps of files, sessions and transactions of
// one arc. Start here: apply() and query() only parse, pass on and serialize; steps.h says what changes, transactions.h
// how changes of several arcs hold together, sessions.h how each happens once, README.md where all of it is kept.
//
// Owner: a node; one object serves all of its arcs. Thread: any; it has no state but the number of arcs.
// Errors: always inside the answer. An operation that ends in an error changes no record of the filesystem.
// Limits: those of proto/wire/limits.h and of the headers named above.

#include "daemon/arc/state_machine.h"
#include "proto/id/id.h"

namespace chordfs {

class Tree final : public StateMachine {
 public:
  explicit Tree(ArcMap arcs) : arcs_(arcs) {}

  /// Arc 0 begins with the root directory (inode kRootIno, mode 0755, owned by root); the others begin empty.
  void create(std::uint32_t arc, MutableRecords& records) const override;
  /// `operation`: a wire::Operation. Answers: a wire::Answer.
  std::string apply(std::uint32_t arc, MutableRecords& records, std::uint64_t index,
                    std::string_view operation) const override;
  /// `query`: a wire::Query. Answers: a wire::QueryAnswer.
  std::string query(std::uint32_t arc, const Records& records, std::string_view query) const override;
  bool is_record(std::string_view key, std::string_view value) const override;

 private:
  ArcMap arcs_;
};

}  // namespace chordfs
