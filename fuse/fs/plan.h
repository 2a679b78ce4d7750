#pragma once
// Plans: which transaction does what a program asks for, given what stands where. Pure: what was looked up goes in, a
// transaction comes out. Its expectations are checked again by the arcs; if they do not hold, look up and plan anew.

#include <string>
#include <vector>

#include "fuse/fs/filesystem.h"

namespace chordfs::fs {

/// A name in a directory.
struct Place {
  Ino dir = 0;
  std::string name;
  friend auto operator<=>(const Place&, const Place&) = default;
};

/// What stands at a place.
struct Found {
  Ino ino = 0;  ///< 0: nothing.
  wire::FileType type = wire::FILE_NONE;
  bool present() const { return ino != 0; }
  bool is_directory() const { return type == wire::FILE_DIRECTORY; }
};

/// Collects steps, one part for each arc, in the order in which the arcs are first met: that of the first step
/// coordinates.
class Plan {
 public:
  explicit Plan(const Client& client) : client_(client) {}

  void insert(const Place& place, Found what, Ino expected);
  void remove(const Place& place, Ino expected);
  void create(wire::Inode inode, bool goes_on);
  void link(Ino ino);
  void unlink(Ino ino, wire::UnlinkInode::Kind kind);
  void moved(Found what, Ino parent);
  /// A directory moves to another parent.
  void move_directory(Ino ino, Ino new_parent);
  wire::Transaction take() { return std::move(transaction_); }

 private:
  wire::Step& step(ArcNumber arc);
  wire::Step& step_at(Ino ino) { return step(client_.arc_of_ino(ino)); }

  const Client& client_;
  wire::Transaction transaction_;
};

/// `goes_on`: it is about to be written.
wire::Transaction plan_make(const Client& client, const Place& place, wire::Inode inode, bool goes_on);
wire::Transaction plan_link(const Client& client, const Place& place, Found what);
/// unlink(2) or rmdir(2), in the precedence of errors that Linux has.
Result<wire::Transaction> plan_unlink(const Client& client, const Place& place, Found found,
                                      wire::UnlinkInode::Kind kind);

struct RenameAsk {
  Place from, to;
  Rename how = Rename::plain;
};
/// Without parts if there is nothing to do. Ancestors are not its business, except a directory moved into itself.
Result<wire::Transaction> plan_rename(const Client& client, const RenameAsk& ask, Found source, Found target);

}  // namespace chordfs::fs
