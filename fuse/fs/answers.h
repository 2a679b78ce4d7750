#pragma once
// Answers: what arcs answered, to be given again while the lease on it holds: warm lookups, attributes, opens and
// listings ask nobody.
//
// An answer is kept under the inode that was asked about, and depends on every inode that it speaks of. forget() and
// changed() are called before a change can be seen: they void what is kept and what is on its way (Asked).
// Owner: Core. Thread: the Runtime's. Limits: the bytes that it is given.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fuse/fs/filesystem.h"
#include "fuse/fs/lru.h"

namespace chordfs::fs {

class Answers {
 public:
  Answers(Client& client, std::size_t bytes_max)
      : client_(client), inodes_tracked_max_(bytes_max / kBytesPerInode), kept_(bytes_max) {}

  /// Null: ask.
  std::shared_ptr<const wire::QueryAnswer> find(const wire::Query& query);

  /// Whatever says how the inode is now, if anything does.
  std::shared_ptr<const wire::QueryAnswer> about(Ino ino);

  /// Taken before asking.
  using Asked = std::uint64_t;
  Asked asking() const { return clock_; }
  /// It has been recalled since.
  bool forgotten_since(Ino ino, Asked asked) const { return times_of(ino).forgotten > asked; }
  /// Keeps it if it is leased and nothing that it speaks of has changed since it was asked for.
  void keep(const wire::Query& query, const wire::QueryAnswer& answer, Asked asked);

  /// Somebody is about to change it.
  void forget(Ino ino);
  /// This mount is about to change these, or has.
  void changed(const wire::Transaction& transaction);
  /// Neither this mount nor another has changed any of these since, or is about to.
  bool unchanged_since(const wire::Transaction& transaction, Asked asked) const;
  /// Keeps what the answer to this change, which was alone, tells of the inodes, if it is leased; after changed().
  void keep(const wire::Transaction& transaction, const wire::Answer& answer);

 private:
  using Key = std::pair<Ino, std::string>;
  struct Times {
    std::uint64_t forgotten = 0;
    std::uint64_t changed = 0;
  };
  struct Dependency {
    Ino ino = 0;
    Times times;
    bool own_changes = false;  ///< Also what this mount does to it makes the answer wrong.
  };
  struct Kept {
    std::shared_ptr<const wire::QueryAnswer> answer;
    std::vector<Dependency> on;
  };
  Times times_of(Ino ino) const;
  void changed(Ino ino);
  bool unchanged_since(Ino ino, Asked asked) const;
  std::shared_ptr<const wire::QueryAnswer> valid(Ino ino, const Kept* kept) const;
  void keep_attr(const wire::Attr& attr, std::uint64_t lease);
  void keep_entry(Ino dir, const wire::DirEntry& entry, const wire::Attr& attr, std::uint64_t lease);
  void put(Key key, std::shared_ptr<const wire::QueryAnswer> answer, const std::vector<Ino>& strict, Ino dir);
  void trim();

  /// Inodes that changed are remembered in proportion to what can be kept.
  static constexpr std::size_t kBytesPerInode = 400;

  Client& client_;
  const std::size_t inodes_tracked_max_;
  Lru<Key, Kept> kept_;
  std::map<Ino, Times> times_;
  Times floor_;  ///< Of inodes that are not in `times_`.
  std::uint64_t clock_ = 1;
};

}  // namespace chordfs::fs
