// The tree against a model of a filesystem that a child could check: maps of names, contents as strings of bytes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "proto/base/bytes.h"
#include "tests/daemon/tree/actions.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

namespace {
char byte_of_block(std::uint64_t number, std::uint64_t at) {
  return static_cast<char>(number * 37 + at * 11 + at / 256);
}

struct Node {
  wire::FileType type = wire::FILE_REGULAR;
  std::uint32_t nlink = 1, mode = 0644;
  std::string bytes;  ///< Contents, holes as zeros.
  std::string kinds;  ///< Of each byte: 'h' hole, 'i' in the record, 'e' in an extent.
  std::map<std::string, std::string> xattrs;

  bool is_directory() const { return type == wire::FILE_DIRECTORY; }
  bool has_extents() const { return kinds.find('e') != kinds.npos; }
  void resize(std::size_t size) {
    bytes.resize(size, '\0');
    kinds.resize(size, 'h');
  }
};

class Model {
 public:
  Model() {
    nodes_[kRootIno] = {.type = wire::FILE_DIRECTORY, .nlink = 2, .mode = 0755};
    session_ = world_.open_session();
  }

  void act(Action action) {
    ++world_.now;
    switch (action.below(15)) {
      case 0:
        make(action, wire::FILE_REGULAR);
        break;
      case 1:
        make(action, wire::FILE_DIRECTORY);
        break;
      case 2:
        make_link(action);
        break;
      case 3:
        remove_name(action, wire::UnlinkInode::MUST_NOT_BE_DIRECTORY);
        break;
      case 4:
        remove_name(action, wire::UnlinkInode::MUST_BE_DIRECTORY);
        break;
      case 5:
        rename(action);
        break;
      case 6:
        write_pieces(action);
        break;
      case 7:
      case 8:
        write_blocks(action);
        break;
      case 9:
        clone(action);
        break;
      case 10:
        truncate(action);
        break;
      case 11:
        change_xattr(action);
        break;
      case 12:
        change_mode(action);
        break;
      case 13:
        purge(action);
        break;
      case 14:
        retry();
        break;
    }
  }

  void compare() {
    RC_ASSERT(world_.broken() == "");
    for (const auto& [ino, node] : nodes_) {
      auto inode = world_.get_inode(ino).inode();
      RC_ASSERT(inode.attr().nlink() == node.nlink);
      RC_ASSERT(inode.attr().mode() == node.mode);
      RC_ASSERT((std::map<std::string, std::string>(inode.xattrs().begin(), inode.xattrs().end())) == node.xattrs);
      if (node.is_directory())
        compare_names(ino);
      else
        compare_contents(ino, node);
    }
  }

 private:
  // ---- Choices ----

  std::uint64_t some_inode(Action& action) {
    return std::next(nodes_.begin(), static_cast<std::ptrdiff_t>(action.below(nodes_.size())))->first;
  }
  /// A directory mostly, and sometimes what is none.
  std::uint64_t some_directory(Action& action) {
    if (action.below(16) == 0) return some_inode(action);
    std::vector<std::uint64_t> all;
    for (const auto& [ino, node] : nodes_)
      if (node.is_directory()) all.push_back(ino);
    return all[action.below(all.size())];
  }
  std::uint64_t some_file(Action& action) {
    std::vector<std::uint64_t> all;
    for (const auto& [ino, node] : nodes_)
      if (!node.is_directory()) all.push_back(ino);
    return all.empty() || action.below(32) == 0 ? some_inode(action) : all[action.below(all.size())];
  }
  std::string some_name(Action& action) { return fmt::format("name{}", action.below(5)); }

  // ---- Expectations ----

  std::uint64_t standing(std::uint64_t dir, const std::string& name) {
    auto at = names_[dir].find(name);
    return at == names_[dir].end() ? 0 : at->second;
  }
  Errc directory_error(std::uint64_t dir) {
    if (!nodes_[dir].is_directory()) return Errc::not_directory;
    return nodes_[dir].nlink == 0 ? Errc::not_found : Errc::ok;
  }
  Errc insert_error(std::uint64_t dir, const std::string& name) {
    if (auto error = directory_error(dir); error != Errc::ok) return error;
    return standing(dir, name) != 0 ? Errc::exists : Errc::ok;
  }
  Errc unlink_error(std::uint64_t ino, wire::UnlinkInode::Kind kind) {
    const auto& node = nodes_[ino];
    if (kind == wire::UnlinkInode::MUST_BE_DIRECTORY && !node.is_directory()) return Errc::not_directory;
    if (kind == wire::UnlinkInode::MUST_NOT_BE_DIRECTORY && node.is_directory()) return Errc::is_directory;
    return !names_[ino].empty() ? Errc::not_empty : Errc::ok;
  }
  Errc file_error(std::uint64_t ino) { return nodes_[ino].is_directory() ? Errc::is_directory : Errc::ok; }

  /// Executes the steps once under the session; true if they were, as they should be, accepted.
  bool run(StepList steps, Errc expected) {
    ++seq_;
    last_ = std::move(steps);
    last_answer_ = world_.execute(0, last_, identity(session_, seq_, seq_)).SerializeAsString();
    wire::Answer answer;
    RC_ASSERT(answer.ParseFromString(last_answer_));
    RC_ASSERT(name_of(error_of(answer)) == name_of(expected));
    return expected == Errc::ok;
  }

  // ---- Actions on names ----

  void enter(std::uint64_t dir, const std::string& name, std::uint64_t ino) {
    names_[dir][name] = ino;
    if (nodes_[ino].is_directory()) ++nodes_[dir].nlink;
  }
  void leave(std::uint64_t dir, const std::string& name) {
    if (nodes_[standing(dir, name)].is_directory()) --nodes_[dir].nlink;
    names_[dir].erase(name);
  }
  void drop(std::uint64_t ino) { nodes_[ino].nlink = nodes_[ino].is_directory() ? 0 : nodes_[ino].nlink - 1; }

  void make(Action action, wire::FileType type) {
    auto dir = some_directory(action);
    auto name = some_name(action);
    auto ino = next_ino_++;
    if (!run({insert(dir, name, ino, type), create(ino, type)}, insert_error(dir, name))) return;
    nodes_[ino] = {.type = type, .nlink = type == wire::FILE_DIRECTORY ? 2U : 1U};
    parents_[ino] = dir;
    enter(dir, name, ino);
  }

  void make_link(Action action) {
    auto ino = some_inode(action), dir = some_directory(action);
    auto name = some_name(action);
    auto expected = insert_error(dir, name);
    if (nodes_[ino].is_directory()) expected = Errc::not_permitted;
    if (nodes_[ino].nlink == 0) expected = Errc::not_found;
    if (!run({link(ino), insert(dir, name, ino)}, expected)) return;
    ++nodes_[ino].nlink;
    enter(dir, name, ino);
  }

  void remove_name(Action action, wire::UnlinkInode::Kind kind) {
    auto dir = some_directory(action);
    auto name = some_name(action);
    auto ino = standing(dir, name);
    auto expected = directory_error(dir);
    if (expected == Errc::ok) expected = ino == 0 ? Errc::not_found : unlink_error(ino, kind);
    if (!run({remove(dir, name, ino), unlink(ino, kind)}, expected)) return;
    leave(dir, name);
    drop(ino);
  }

  /// Is `dir` the directory `ino`, or below it? (That a directory moves below itself is not for the tree to see.)
  bool is_below(std::uint64_t dir, std::uint64_t ino) {
    for (;; dir = parents_[dir]) {
      if (dir == ino) return true;
      if (dir == kRootIno || dir == 0) return false;
    }
  }

  void rename(Action action) {
    auto from = some_directory(action), to = some_directory(action);
    auto name = some_name(action), new_name = some_name(action);
    auto ino = standing(from, name), replaced = standing(to, new_name);
    if (ino == 0 || ino == replaced || is_below(to, ino)) return;
    auto type = nodes_[ino].type;
    auto kind =
        nodes_[ino].is_directory() ? wire::UnlinkInode::MUST_BE_DIRECTORY : wire::UnlinkInode::MUST_NOT_BE_DIRECTORY;
    StepList steps{remove(from, name, ino), insert(to, new_name, ino, type, replaced), moved(ino, to)};
    auto expected = directory_error(to);
    if (replaced != 0) {
      steps.push_back(unlink(replaced, kind));
      // The entry to move may have been all that the directory to be replaced held.
      bool emptied = replaced == from && names_[from].size() == 1;
      auto error = unlink_error(replaced, kind);
      if (expected == Errc::ok && !(error == Errc::not_empty && emptied)) expected = error;
    }
    if (!run(std::move(steps), expected)) return;
    leave(from, name);
    if (replaced != 0) {
      leave(to, new_name);
      drop(replaced);
    }
    enter(to, new_name, ino);
    parents_[ino] = to;
  }

  void purge(Action action) {
    auto ino = some_inode(action);
    bool is_orphan = nodes_[ino].nlink == 0;
    RC_ASSERT(error_of(world_.purge(ino)) == (is_orphan ? Errc::ok : Errc::not_found));
    if (!is_orphan) return;
    nodes_.erase(ino);
    names_.erase(ino);
  }

  /// The same again under the same identity: the same answer, and nothing done.
  void retry() {
    if (seq_ == 0) return;
    auto before = world_.records(0).map();
    auto again = world_.execute(0, last_, identity(session_, seq_, seq_));
    wire::Answer first;
    RC_ASSERT(first.ParseFromString(last_answer_));
    again.set_pending_outbox(first.pending_outbox());
    again.set_unsettled(first.unsettled());
    RC_ASSERT(again.SerializeAsString() == last_answer_);
    RC_ASSERT(world_.records(0).map() == before);
  }

  // ---- Actions on contents ----

  void write_pieces(Action action) {
    auto ino = some_file(action), offset = action.below(4200), length = 1 + action.below(300);
    std::string data(length, static_cast<char>('a' + action.below(26)));
    auto expected = file_error(ino);
    if (expected == Errc::ok && (nodes_[ino].has_extents() || offset + length > kInlineBytesMax))
      expected = Errc::stale;
    if (!run({write_piece(ino, offset, data)}, expected)) return;
    auto& node = nodes_[ino];
    auto end = offset + length;
    if (node.bytes.size() < end) node.resize(end);
    node.bytes.replace(offset, length, data);
    // What is in the record is all from 0 on.
    std::fill_n(node.kinds.begin(), end, 'i');
  }

  void write_blocks(Action action) {
    auto ino = some_file(action);
    std::vector<wire::Extent> extents;
    for (auto left = 1 + action.below(3); left > 0; --left) {
      auto offset = action.below(2) == 0 ? 0 : action.below(12'000);
      extents.push_back(
          extent(offset, 1 + action.below(6'000), next_block_++, static_cast<std::uint32_t>(action.below(3) * 100)));
    }
    write(ino, extents);
  }

  /// Writes a part of a block that the file names already somewhere else, as copying within a file would.
  void clone(Action action) {
    auto ino = some_file(action);
    if (nodes_[ino].is_directory()) return;
    auto map = world_.read_map(ino);
    if (map.extents_size() == 0) return;
    auto copy = map.extents(static_cast<int>(action.below(static_cast<std::uint64_t>(map.extents_size()))));
    copy.set_offset(action.below(12'000));
    copy.set_length(1 + action.below(copy.length()));
    write(ino, {copy});
  }

  void write(std::uint64_t ino, const std::vector<wire::Extent>& extents) {
    auto after = nodes_[ino];
    for (const auto& one : extents) {
      auto end = one.offset() + one.length();
      if (after.bytes.size() < end) after.resize(end);
      auto number = number_of_block(one.block());
      for (std::uint64_t i = 0; i < one.length(); ++i) {
        after.bytes[one.offset() + i] = byte_of_block(number, one.block_offset() + i);
        after.kinds[one.offset() + i] = 'e';
      }
    }
    auto expected = file_error(ino);
    if (expected == Errc::ok && after.kinds.find('i') != after.kinds.npos) expected = Errc::stale;
    if (run({write_extents(ino, extents)}, expected)) nodes_[ino] = after;
  }

  void truncate(Action action) {
    auto ino = some_file(action), size = action.below(15'000);
    if (run({resize(ino, size)}, file_error(ino))) nodes_[ino].resize(size);
  }

  void change_xattr(Action action) {
    auto ino = some_inode(action);
    auto& xattrs = nodes_[ino].xattrs;
    auto name = fmt::format("user.{}", action.below(3));
    auto value = fmt::format("{}", action.below(100));
    bool exists = xattrs.contains(name);
    switch (action.below(4)) {
      case 0:
        if (run({set_xattr(ino, name, value)}, Errc::ok)) xattrs[name] = value;
        break;
      case 1:
        if (run({set_xattr(ino, name, value, wire::SetXattr::CREATE)}, exists ? Errc::exists : Errc::ok))
          xattrs[name] = value;
        break;
      case 2:
        if (run({set_xattr(ino, name, value, wire::SetXattr::REPLACE)}, exists ? Errc::ok : Errc::no_attribute))
          xattrs[name] = value;
        break;
      case 3:
        if (run({remove_xattr(ino, name)}, exists ? Errc::ok : Errc::no_attribute)) xattrs.erase(name);
        break;
    }
  }

  void change_mode(Action action) {
    auto ino = some_inode(action);
    auto mode = static_cast<std::uint32_t>(action.below(010000));
    if (run({chmod(ino, mode)}, Errc::ok)) nodes_[ino].mode = mode;
  }

  // ---- Comparison ----

  void compare_names(std::uint64_t dir) {
    std::map<std::string, std::uint64_t> listed;
    std::uint64_t after = 0;
    for (bool end = false; !end;) {
      auto page = world_.read_dir(dir, after, 2);
      RC_ASSERT(page.error() == 0U);
      for (const auto& entry : page.entries()) {
        RC_ASSERT(listed.emplace(entry.name(), entry.ino()).second);
        after = entry.cookie();
      }
      end = page.end();
    }
    RC_ASSERT(listed == names_[dir]);
  }

  void compare_contents(std::uint64_t ino, const Node& node) {
    auto answer = world_.read_map(ino);
    RC_ASSERT(answer.inode().attr().size() == node.bytes.size());
    std::string bytes = answer.inode().inline_data();
    bytes.resize(node.bytes.size(), '\0');
    for (const auto& one : answer.extents()) {
      auto number = number_of_block(one.block());
      for (std::uint64_t i = 0; i < one.length(); ++i)
        bytes.at(one.offset() + i) = byte_of_block(number, one.block_offset() + i);
    }
    RC_ASSERT(bytes == node.bytes);
    auto held = std::ranges::count_if(node.kinds, [](char kind) { return kind != 'h'; });
    RC_ASSERT(answer.inode().attr().allocated() == static_cast<std::uint64_t>(held));
  }

  World world_;
  std::map<std::uint64_t, Node> nodes_;
  std::map<std::uint64_t, std::map<std::string, std::uint64_t>> names_;
  std::map<std::uint64_t, std::uint64_t> parents_;
  std::uint64_t next_ino_ = 100, next_block_ = 1;
  std::uint64_t session_ = 0, seq_ = 0;
  StepList last_;
  std::string last_answer_;
};
}  // namespace

RC_GTEST_PROP(TreeModel, BehavesAsAFilesystemOfMapsAndStrings, ()) {
  Model model;
  for (auto bits : *actions(150)) {
    model.act(Action(bits));
    model.compare();
  }
}

}  // namespace chordfs::tree_test
