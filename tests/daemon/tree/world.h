#pragma once
// World: every arc of a small ring in memory, applied to at once; words to write tests with; and the invariants of a
// filesystem at rest (I15 and I17 of shared/replication.md, and those of maps, counts and usage).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/tree/tree.h"
#include "proto/base/result.h"
#include "proto/wire/limits.h"
#include "proto/wire/tree.pb.h"
#include "tests/daemon/tree/memory_records.h"

namespace chordfs::tree_test {

// ---- Words ----

using StepList = std::vector<wire::Step>;

wire::Step insert(std::uint64_t dir, std::string name, std::uint64_t ino, wire::FileType type = wire::FILE_REGULAR,
                  std::uint64_t expected = 0);
wire::Step remove(std::uint64_t dir, std::string name, std::uint64_t expected);
wire::Step create(std::uint64_t ino, wire::FileType type = wire::FILE_REGULAR);
wire::Step link(std::uint64_t ino);
wire::Step unlink(std::uint64_t ino, wire::UnlinkInode::Kind kind = wire::UnlinkInode::ANY);
wire::Step moved(std::uint64_t ino, std::uint64_t parent = 0);
wire::Step dirmove();
wire::Step resize(std::uint64_t ino, std::uint64_t size);
wire::Step allocate(std::uint64_t ino, std::uint64_t offset, std::uint64_t length);
/// Of [from, to); the size stays.
wire::Step make_hole(std::uint64_t ino, std::uint64_t from, std::uint64_t to);
wire::Step chmod(std::uint64_t ino, std::uint32_t mode);
wire::Step write_piece(std::uint64_t ino, std::uint64_t offset, std::string data);
/// A block of an inode, written by a session, or by nobody.
std::string block(std::uint64_t number, std::uint64_t ino, std::uint64_t session = 0);
std::uint64_t number_of_block(std::string_view block);
/// Of a block of whichever inode write_extents() names it for.
wire::Extent extent(std::uint64_t offset, std::uint64_t length, std::uint64_t block_number,
                    std::uint32_t block_offset = 0);
wire::Step write_extents(std::uint64_t ino, std::vector<wire::Extent> extents);
wire::Step set_xattr(std::uint64_t ino, std::string name, std::string value,
                     wire::SetXattr::Mode mode = wire::SetXattr::ANY);
wire::Step remove_xattr(std::uint64_t ino, std::string name);
wire::Identity identity(std::uint64_t session, std::uint64_t seq, std::uint64_t first_unacked = 1);
wire::Part part(std::uint32_t arc, StepList steps);
wire::TxId tx(std::uint32_t arc, std::uint64_t index);

inline Errc error_of(const wire::Answer& answer) {
  return static_cast<Errc>(answer.error());
}
inline Errc error_of(const wire::QueryAnswer& answer) {
  return static_cast<Errc>(answer.error());
}

// ---- The arcs ----

class World {
 public:
  explicit World(int bits = 0);

  wire::Answer apply(std::uint32_t arc, const wire::Operation& operation);
  /// Executes the steps in an arc, for nobody or for a session.
  wire::Answer execute(std::uint32_t arc, StepList steps, std::optional<wire::Identity> who = std::nullopt);
  /// In arc 0.
  wire::Answer execute(StepList steps) { return execute(0, std::move(steps)); }
  /// The error of executing the steps in arc 0.
  Errc refused(StepList steps) { return error_of(execute(std::move(steps))); }

  wire::Answer begin(std::vector<wire::Part> parts, std::optional<wire::Identity> who = std::nullopt);
  wire::Answer prepare(std::uint32_t arc, wire::TxId tx, StepList steps);
  wire::Answer decide(wire::TxId tx, bool commit, Errc error = Errc::ok);
  wire::Answer finish(std::uint32_t arc, wire::TxId tx, bool commit, std::uint64_t low_water = 0);
  wire::Answer forget(wire::TxId tx);
  std::uint64_t open_session(std::uint32_t arc = 0);
  wire::Answer purge(std::uint64_t ino);

  wire::QueryAnswer query(std::uint32_t arc, const wire::Query& query) const;
  wire::QueryAnswer lookup(std::uint64_t dir, std::string name) const;
  wire::QueryAnswer get_inode(std::uint64_t ino, bool open = false) const;
  wire::Attr attr(std::uint64_t ino) const { return get_inode(ino).inode().attr(); }
  wire::QueryAnswer read_map(std::uint64_t ino, std::uint64_t offset = 0, std::uint64_t length = kFileBytesMax) const;
  wire::QueryAnswer read_dir(std::uint64_t dir, std::uint64_t after = 0, std::uint32_t entries_max = 0,
                             bool plus = false) const;
  wire::QueryAnswer outbox(std::uint32_t arc = 0) const;
  wire::QueryAnswer transactions(std::uint32_t arc) const;

  std::uint32_t arc_of(std::uint64_t ino) const;
  /// The inode number `unique` of an arc.
  std::uint64_t ino(std::uint32_t arc, std::uint64_t unique) const;
  std::uint32_t arc_count() const { return arcs_.count(); }
  const MemoryRecords& records(std::uint32_t arc) const { return records_.at(arc); }

  /// What does not hold, one line each; empty if all is well. To be asked when no transaction is under way.
  std::string broken() const;
  /// Records that another node would not take for such, one line each.
  std::string strange_records() const;

  std::int64_t now = 1000;  ///< Of the next operation; the test's to change.

 private:
  ArcMap arcs_;
  Tree tree_;
  std::vector<MemoryRecords> records_;
  std::uint64_t index_ = 0;
};

}  // namespace chordfs::tree_test
