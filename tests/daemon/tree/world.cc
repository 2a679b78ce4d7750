#include "tests/daemon/tree/world.h"

#include <fmt/format.h>

#include <map>

#include "daemon/tree/extents.h"
#include "daemon/tree/keys.h"
#include "daemon/tree/state.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/wire/block_id.h"

namespace chordfs::tree_test {

wire::Step insert(std::uint64_t dir, std::string name, std::uint64_t ino, wire::FileType type, std::uint64_t expected) {
  wire::Step step;
  auto* entry = step.mutable_insert();
  entry->set_dir(dir);
  entry->set_name(std::move(name));
  entry->set_ino(ino);
  entry->set_type(type);
  entry->set_expected(expected);
  return step;
}

wire::Step remove(std::uint64_t dir, std::string name, std::uint64_t expected) {
  wire::Step step;
  auto* entry = step.mutable_remove();
  entry->set_dir(dir);
  entry->set_name(std::move(name));
  entry->set_expected(expected);
  return step;
}

wire::Step create(std::uint64_t ino, wire::FileType type) {
  wire::Step step;
  auto* inode = step.mutable_create()->mutable_inode();
  auto* attr = inode->mutable_attr();
  attr->set_ino(ino);
  attr->set_type(type);
  attr->set_mode(0644);
  attr->set_nlink(type == wire::FILE_DIRECTORY ? 2 : 1);
  if (type == wire::FILE_SYMLINK) inode->set_target("target");
  return step;
}

wire::Step link(std::uint64_t ino) {
  wire::Step step;
  step.mutable_link()->set_ino(ino);
  return step;
}

wire::Step unlink(std::uint64_t ino, wire::UnlinkInode::Kind kind) {
  wire::Step step;
  step.mutable_unlink()->set_ino(ino);
  step.mutable_unlink()->set_kind(kind);
  return step;
}

wire::Step moved(std::uint64_t ino, std::uint64_t parent) {
  wire::Step step;
  step.mutable_moved()->set_ino(ino);
  step.mutable_moved()->set_parent(parent);
  return step;
}

wire::Step dirmove() {
  wire::Step step;
  step.mutable_dirmove();
  return step;
}

wire::Step resize(std::uint64_t ino, std::uint64_t size) {
  wire::Step step;
  step.mutable_set_attr()->set_ino(ino);
  step.mutable_set_attr()->set_size(size);
  return step;
}

wire::Step allocate(std::uint64_t ino, std::uint64_t offset, std::uint64_t length) {
  wire::Step step;
  step.mutable_allocate()->set_ino(ino);
  step.mutable_allocate()->set_offset(offset);
  step.mutable_allocate()->set_length(length);
  return step;
}

wire::Step make_hole(std::uint64_t ino, std::uint64_t from, std::uint64_t to) {
  auto step = allocate(ino, from, to - from);
  step.mutable_allocate()->set_keep_size(true);
  step.mutable_allocate()->set_hole(true);
  return step;
}

wire::Step chmod(std::uint64_t ino, std::uint32_t mode) {
  wire::Step step;
  step.mutable_set_attr()->set_ino(ino);
  step.mutable_set_attr()->set_mode(mode);
  return step;
}

wire::Step write_piece(std::uint64_t ino, std::uint64_t offset, std::string data) {
  wire::Step step;
  auto* commit = step.mutable_commit();
  commit->set_ino(ino);
  commit->set_size_at_least(offset + data.size());
  auto* piece = commit->add_pieces();
  piece->set_offset(offset);
  piece->set_data(std::move(data));
  return step;
}

std::string block(std::uint64_t number, std::uint64_t ino, std::uint64_t session) {
  return block_id(ino, session, number);
}

std::uint64_t number_of_block(std::string_view block) {
  return read_u64(block.substr(16));
}

wire::Extent extent(std::uint64_t offset, std::uint64_t length, std::uint64_t block_number,
                    std::uint32_t block_offset) {
  wire::Extent extent;
  extent.set_offset(offset);
  extent.set_length(length);
  extent.set_block(block(block_number, 0));
  extent.set_block_offset(block_offset);
  extent.set_block_length(static_cast<std::uint32_t>(block_offset + length));
  return extent;
}

wire::Step write_extents(std::uint64_t ino, std::vector<wire::Extent> extents) {
  wire::Step step;
  auto* commit = step.mutable_commit();
  commit->set_ino(ino);
  std::uint64_t end = 0;
  for (auto& one : extents) {
    end = std::max(end, one.offset() + one.length());
    if (one.block().size() == kBlockIdBytes)
      one.set_block(block(number_of_block(one.block()), ino, session_of_block(one.block())));
    *commit->add_extents() = std::move(one);
  }
  commit->set_size_at_least(end);
  return step;
}

wire::Step set_xattr(std::uint64_t ino, std::string name, std::string value, wire::SetXattr::Mode mode) {
  wire::Step step;
  auto* set = step.mutable_set_xattr();
  set->set_ino(ino);
  set->set_name(std::move(name));
  set->set_value(std::move(value));
  set->set_mode(mode);
  return step;
}

wire::Step remove_xattr(std::uint64_t ino, std::string name) {
  wire::Step step;
  step.mutable_remove_xattr()->set_ino(ino);
  step.mutable_remove_xattr()->set_name(std::move(name));
  return step;
}

wire::Identity identity(std::uint64_t session, std::uint64_t seq, std::uint64_t first_unacked) {
  wire::Identity who;
  who.set_session(session);
  who.set_seq(seq);
  who.set_first_unacked(first_unacked);
  return who;
}

wire::Part part(std::uint32_t arc, StepList steps) {
  wire::Part result;
  result.set_arc(arc);
  for (auto& step : steps) *result.add_steps() = std::move(step);
  return result;
}

wire::TxId tx(std::uint32_t arc, std::uint64_t index) {
  wire::TxId id;
  id.set_arc(arc);
  id.set_index(index);
  return id;
}

// ---- World ----

World::World(int bits) : arcs_(bits), tree_(arcs_), records_(arcs_.count()) {
  for (std::uint32_t arc = 0; arc < arcs_.count(); ++arc) tree_.create(arc, records_[arc]);
}

wire::Answer World::apply(std::uint32_t arc, const wire::Operation& operation) {
  auto timed = operation;
  timed.set_now(now);
  wire::Answer answer;
  CHECK(answer.ParseFromString(tree_.apply(arc, records_.at(arc), ++index_, timed.SerializeAsString())));
  return answer;
}

namespace {
/// Blocks that nobody wrote yet are the session's.
void written_by(std::uint64_t session, wire::Step& step) {
  if (!step.has_commit()) return;
  for (auto& extent : *step.mutable_commit()->mutable_extents())
    if (extent.block().size() == kBlockIdBytes && session_of_block(extent.block()) == 0)
      extent.set_block(block(number_of_block(extent.block()), step.commit().ino(), session));
}
}  // namespace

wire::Answer World::execute(std::uint32_t arc, StepList steps, std::optional<wire::Identity> who) {
  wire::Operation operation;
  if (who) {
    *operation.mutable_identity() = *who;
    for (auto& step : steps) written_by(who->session(), step);
  }
  *operation.mutable_execute() = part(arc, std::move(steps));
  return apply(arc, operation);
}

wire::Answer World::begin(std::vector<wire::Part> parts, std::optional<wire::Identity> who) {
  wire::Operation operation;
  if (who) *operation.mutable_identity() = *who;
  auto arc = parts.front().arc();
  for (auto& one : parts) *operation.mutable_begin()->mutable_transaction()->add_parts() = std::move(one);
  return apply(arc, operation);
}

wire::Answer World::prepare(std::uint32_t arc, wire::TxId id, StepList steps) {
  wire::Operation operation;
  *operation.mutable_prepare()->mutable_tx() = std::move(id);
  for (auto& step : steps) *operation.mutable_prepare()->add_steps() = std::move(step);
  return apply(arc, operation);
}

wire::Answer World::decide(wire::TxId id, bool commit, Errc error) {
  wire::Operation operation;
  operation.mutable_decide()->set_index(id.index());
  operation.mutable_decide()->set_commit(commit);
  operation.mutable_decide()->set_error(static_cast<std::uint32_t>(error));
  return apply(id.arc(), operation);
}

wire::Answer World::finish(std::uint32_t arc, wire::TxId id, bool commit, std::uint64_t low_water) {
  wire::Operation operation;
  *operation.mutable_finish()->mutable_tx() = std::move(id);
  operation.mutable_finish()->set_commit(commit);
  operation.mutable_finish()->set_low_water(low_water);
  return apply(arc, operation);
}

wire::Answer World::forget(wire::TxId id) {
  wire::Operation operation;
  operation.mutable_forget()->set_index(id.index());
  return apply(id.arc(), operation);
}

std::uint64_t World::open_session(std::uint32_t arc) {
  wire::Operation operation;
  operation.mutable_open_session()->set_name("test");
  return apply(arc, operation).session();
}

wire::Answer World::purge(std::uint64_t number) {
  wire::Operation operation;
  operation.mutable_purge()->set_ino(number);
  return apply(arc_of(number), operation);
}

wire::QueryAnswer World::query(std::uint32_t arc, const wire::Query& asked) const {
  wire::QueryAnswer answer;
  CHECK(answer.ParseFromString(tree_.query(arc, records_.at(arc), asked.SerializeAsString())));
  return answer;
}

wire::QueryAnswer World::lookup(std::uint64_t dir, std::string name) const {
  wire::Query asked;
  asked.mutable_lookup()->set_dir(dir);
  asked.mutable_lookup()->set_name(std::move(name));
  return query(arc_of(dir), asked);
}

wire::QueryAnswer World::get_inode(std::uint64_t number, bool open) const {
  wire::Query asked;
  asked.mutable_get_inode()->set_ino(number);
  asked.mutable_get_inode()->set_open(open);
  asked.mutable_get_inode()->set_with_xattrs(true);
  return query(arc_of(number), asked);
}

wire::QueryAnswer World::read_map(std::uint64_t number, std::uint64_t offset, std::uint64_t length) const {
  wire::Query asked;
  asked.mutable_read_map()->set_ino(number);
  asked.mutable_read_map()->set_offset(offset);
  asked.mutable_read_map()->set_length(length);
  return query(arc_of(number), asked);
}

wire::QueryAnswer World::read_dir(std::uint64_t dir, std::uint64_t after, std::uint32_t entries_max, bool plus) const {
  wire::Query asked;
  asked.mutable_read_dir()->set_dir(dir);
  asked.mutable_read_dir()->set_after(after);
  asked.mutable_read_dir()->set_entries_max(entries_max);
  asked.mutable_read_dir()->set_plus(plus);
  return query(arc_of(dir), asked);
}

wire::QueryAnswer World::outbox(std::uint32_t arc) const {
  wire::Query asked;
  asked.mutable_list_outbox();
  return query(arc, asked);
}

wire::QueryAnswer World::transactions(std::uint32_t arc) const {
  wire::Query asked;
  asked.mutable_list_transactions();
  return query(arc, asked);
}

std::uint32_t World::arc_of(std::uint64_t number) const {
  return tree::Place{arcs_, 0}.arc_of(number);
}

std::uint64_t World::ino(std::uint32_t arc, std::uint64_t unique) const {
  return arcs_.bits() == 0 ? unique : std::uint64_t{arc} << (64 - arcs_.bits()) | unique;
}

// ---- Invariants ----

namespace {
struct Names {
  std::map<std::uint64_t, std::uint32_t> of_inode;        ///< How many entries name it.
  std::map<std::uint64_t, std::uint32_t> subdirectories;  ///< Entries of a directory that are directories.
  std::map<std::uint64_t, wire::FileType> types;          ///< As the entries say.
  std::map<std::uint64_t, std::uint32_t> entries;
};

Names count_names(const std::vector<MemoryRecords>& arcs) {
  Names names;
  for (const auto& records : arcs)
    records.scan("D", "E", [&](std::string_view key, std::string_view value) {
      auto dir = tree::number_in(key);
      auto entry = tree::decode_entry(value);
      ++names.of_inode[entry.ino];
      ++names.entries[dir];
      names.types[entry.ino] = entry.type;
      if (entry.type == wire::FILE_DIRECTORY) ++names.subdirectories[dir];
      return true;
    });
  return names;
}

class Check {
 public:
  Check(const MemoryRecords& records, const Names& names, std::string& broken)
      : records_(records), names_(names), broken_(broken) {}

  void run() {
    records_.scan("I", "J", [&](std::string_view key, std::string_view value) {
      wire::Inode inode;
      expect(inode.ParseFromString(std::string(value)), "inode parses");
      ino_ = tree::number_in(key);
      expect(inode.attr().ino() == ino_, "inode knows its number");
      ++usage_.inodes;
      usage_.bytes += inode.attr().allocated();
      check_links(inode.attr());
      check_contents(inode);
      return true;
    });
    ino_ = 0;
    check_usage();
    expect(count("L") == 0, "no lock without a transaction");
  }

 private:
  void expect(bool holds, std::string_view what) {
    if (!holds) broken_ += fmt::format("inode {:x}: not so: {}\n", ino_, what);
  }
  std::uint64_t count(std::string prefix) const {
    std::uint64_t number = 0;
    auto range = tree::keys_with_prefix(std::move(prefix));
    records_.scan(range.from, range.to, [&](std::string_view, std::string_view) { return ++number, true; });
    return number;
  }
  template <class Map>
  static typename Map::mapped_type at(const Map& map, std::uint64_t key) {
    auto found = map.find(key);
    return found == map.end() ? typename Map::mapped_type{} : found->second;
  }

  void check_links(const wire::Attr& attr) {
    bool is_orphan = records_.get(tree::orphan_key(ino_)).has_value();
    expect((attr.nlink() == 0) == is_orphan, "an orphan has no name, and all without a name are orphans");
    auto names = at(names_.of_inode, ino_);
    if (names > 0) expect(at(names_.types, ino_) == attr.type(), "entries know the type");
    if (attr.type() != wire::FILE_DIRECTORY) {
      expect(attr.nlink() == names, "nlink is the number of names");
    } else if (attr.nlink() == 0) {
      expect(names == 0 && at(names_.entries, ino_) == 0, "a removed directory is empty");
    } else {
      expect(names == (ino_ == kRootIno ? 0 : 1), "a directory has one name");
      expect(attr.nlink() == 2 + at(names_.subdirectories, ino_), "nlink counts sub-directories");
    }
  }

  void check_contents(const wire::Inode& inode) {
    std::uint64_t bytes = inode.inline_data().size(), end = 0;
    std::map<std::string, std::uint32_t> named;
    tree::scan_extents(records_, ino_, 0, ~0ULL, [&](const wire::Extent& one) {
      expect(one.offset() >= end, "extents do not overlap");
      expect(one.length() > 0, "extents are not empty");
      end = one.offset() + one.length();
      bytes += one.length();
      ++named[one.block()];
      return true;
    });
    expect(end <= inode.attr().size(), "no extent beyond the size");
    expect(inode.inline_data().size() <= inode.attr().size(), "no contents beyond the size");
    expect(inode.inline_data().empty() || named.empty(), "contents are in one place");
    expect(bytes == inode.attr().allocated(), "allocated is the sum");
    expect(count_of("B") == named.size(), "a count for each block, and no more");
    for (const auto& [id, number] : named) {
      auto value = records_.get(tree::block_key(id));
      expect(value && read_u32(*value) == number, "the count of a block is right");
      expect(!in_outbox(id), "no block is named and to be deleted");
    }
  }
  std::uint64_t count_of(std::string letter) const {
    append_u64(letter, ino_);
    return count(std::move(letter));
  }
  bool in_outbox(const std::string& id) const {
    bool found = false;
    records_.scan("X", "Y", [&](std::string_view, std::string_view value) { return found |= value == id, !found; });
    return found;
  }

  void check_usage() {
    auto kept = tree::load_usage(records_);
    expect(kept.inodes == usage_.inodes, "usage counts inodes");
    expect(kept.bytes == usage_.bytes, "usage counts bytes");
    expect(kept.outbox == count("X"), "usage counts the outbox");
    expect(kept.orphans == count("O"), "usage counts orphans");
  }

  const MemoryRecords& records_;
  const Names& names_;
  std::string& broken_;
  tree::Usage usage_;
  std::uint64_t ino_ = 0;
};
}  // namespace

std::string World::broken() const {
  std::string text = strange_records();
  auto names = count_names(records_);
  for (const auto& records : records_) Check(records, names, text).run();
  for (auto [number, count] : names.of_inode)
    if (!records_.at(arc_of(number)).get(tree::inode_key(number)))
      text += fmt::format("inode {:x} has {} names and no record\n", number, count);
  return text;
}

std::string World::strange_records() const {
  std::string text;
  for (const auto& records : records_)
    for (const auto& [key, value] : records.map())
      if (!tree_.is_record(key, value)) text += fmt::format("record {} = {} is none\n", hex(key), hex(value));
  return text;
}

}  // namespace chordfs::tree_test
