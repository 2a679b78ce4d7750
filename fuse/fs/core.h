#pragma once
// Core: what all parts of one FileSystem share: the client, the session, the table of open inodes, planning hints, the
// account of unsent bytes, background work.
//
// Owner: FileSystem. Thread: the Runtime's. Lives as long as any operation is under way.
// Sessions: when the client's has expired, a new one is opened at once, so that other work goes on; inodes that had
// unsent data then have lost it, and every handle that was open on them fails from there on (the design's fence).

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "fuse/fs/answers.h"
#include "fuse/fs/cache_sizes.h"
#include "fuse/fs/inode_state.h"
#include "fuse/fs/lru.h"
#include "fuse/fs/names.h"
#include "proto/base/task.h"

namespace chordfs::fs {

/// How often a change is planned anew because what it was planned from is no longer so.
inline constexpr int kPlansMax = 8;
/// The kernel asks for the access control list right after it has looked a name up: an answer for that long.
inline constexpr Duration kNoAclFor = 50ms;
inline constexpr std::size_t kNoAclsMax = 4096;

/// What new objects take from the directory that they are made in.
struct DirectoryTraits {
  std::uint32_t mode = 0;
  std::uint32_t gid = 0;
  std::string default_acl;  ///< Empty: none.
  std::uint32_t flags = 0;
};

enum class GetInode { plain, opens, with_xattrs };

class Core {
 public:
  Core(Client& ring_client, CacheSizes cache_sizes);
  Core(const Core&) = delete;

  Client& client;
  const CacheSizes sizes;
  TaskGroup tasks;
  std::map<Ino, std::shared_ptr<InodeState>> inodes;  ///< Those with a handle.
  Names names;
  Answers answers;
  Lru<Ino, DirectoryTraits> directories;
  Lru<Ino, std::uint64_t> closed_versions;  ///< cached_version of inodes that are no longer open.
  std::uint64_t session = 0;                ///< Counts the sessions of this mount.
  std::uint64_t unsent_bytes = 0;
  Signal unsent_changed;
  std::function<void(Ino)> pages_are_old = [](Ino) {};  ///< Whoever caches bytes of the file is to forget them.
  std::size_t locks_held = 0;                           ///< Owners that may have locks, of all files together.

  Runtime& runtime() { return client.runtime(); }
  std::shared_ptr<InodeState> find_inode(Ino ino);

  awaitable<Result<void>> open_session(std::string name);
  /// A change by this mount: as Client::transact, and in a new session if the present one has expired.
  awaitable<Result<wire::Answer>> transact(wire::Transaction transaction, Ino opened = 0);
  /// The same for data: never in another session than the one it was written in.
  awaitable<Result<wire::Answer>> transact_data(wire::Transaction transaction);
  /// Before anything that is done under a lock: if this process was stopped for long, the lock may be another's by now.
  awaitable<Result<void>> confirm_locks();
  /// One step on one inode.
  awaitable<Result<wire::Answer>> transact_step(wire::Step step, Ino ino);

  /// A question about this inode, or about a directory's entries, at its arc.
  awaitable<Result<wire::QueryAnswer>> ask(Ino ino, wire::Query query);
  awaitable<Result<wire::QueryAnswer>> get_inode(Ino ino, GetInode how);
  awaitable<Result<wire::Attr>> get_attr(Ino ino);

  void saw(const wire::Attr& attr);
  /// What an own change of contents, asked for at that time, says of who writes the file now.
  struct Asking {
    Answers::Asked clock = 0;
    Time at{};
  };
  Asking asking();
  void note_writer(InodeState& inode, const wire::Attr& attr, Asking asked);
  /// A write may be acknowledged before it is committed.
  bool may_write_behind(const InodeState& inode);
  /// Seen just now, and without an access control list.
  bool without_acl(Ino ino);
  /// Attributes after a change of our own: it does not make the kernel's pages wrong.
  void changed(const wire::Attr& attr);
  void changed(const wire::Answer& answer);
  wire::Attr shown(const wire::Attr& attr);
  /// A piece of the inode's map at its present version; it may be forgotten at any time.
  void remember(InodeState& inode, std::uint64_t index, std::shared_ptr<const MapPiece> piece);

  /// Call after every change of the inode's unsent bytes.
  void count_unsent(InodeState& state);

 private:
  awaitable<Result<wire::Answer>> change(wire::Transaction transaction, Ino opened);
  /// `expired`: the value of `session` when the call that failed was begun.
  awaitable<Result<void>> replace_session(std::uint64_t expired);

  /// What the inodes' maps refer to. What is out of date goes with time.
  Lru<std::pair<Ino, std::uint64_t>, std::shared_ptr<const MapPiece>> maps_;
  Lru<Ino, Time> no_acls_{kNoAclsMax};  ///< When the inode was seen without one.
  std::string name_;
  Semaphore replacing_{1};
  std::uint64_t lost_ = 0;  ///< The last session whose unsent data has been given up.
};

/// The attributes of this inode in an answer, if they are there.
const wire::Attr* attr_in(const wire::Answer& answer, Ino ino);
/// A transaction of one step on this inode.
wire::Transaction transaction_of(const Client& client, Ino ino, wire::Step step);

}  // namespace chordfs::fs
