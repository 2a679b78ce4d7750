#pragma once
// InodeState: what this mount knows and holds of one open inode, shared by all its handles.
// Owner: Core's table while a handle is open, and whoever works with it (shared_ptr). Thread: the Runtime's.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fuse/fs/filesystem.h"
#include "fuse/fs/unsent.h"
#include "proto/base/task.h"

namespace chordfs::fs {

/// Extents are asked for, and remembered, in pieces of this many bytes of the file.
inline constexpr std::uint64_t kMapPieceBytes = std::uint64_t{64} << 20;
inline constexpr std::size_t kMapPiecesMax = 64;

/// Where the contents are.
enum class Layout { unknown, in_record, in_blocks };

/// A part of a file's map, or its contents, at one version.
struct MapPiece {
  std::shared_ptr<const std::string> record;  ///< in_record: the contents from byte 0; then there are no extents.
  std::vector<wire::Extent> extents;          ///< By offset, not overlapping.
  std::map<std::string, std::uint64_t> used;  ///< How many bytes of each block the extents name.
};

/// What is known of a file's contents at its present version.
struct FileMap {
  Layout layout = Layout::unknown;
  std::shared_ptr<const std::string> record;                      ///< Null: not known.
  std::map<std::uint64_t, std::weak_ptr<const MapPiece>> pieces;  ///< Core keeps them, while there is room.

  void forget();
  void remember(std::uint64_t index, std::shared_ptr<const MapPiece> piece);
};

/// Adds what an answer (to ReadMap, or to GetInode with the contents along) tells of the map.
void add_to(MapPiece& piece, wire::QueryAnswer answer);

struct OpenFile;

/// Who locks: a process, or an open file description; the kernel's number for it.
struct LockOwner {
  wire::FileLock::Kind kind = wire::FileLock::RECORD;
  std::uint64_t number = 0;
  friend auto operator<=>(const LockOwner&, const LockOwner&) = default;
};
/// What one owner may have locked of a file.
struct HeldLocks {
  std::set<const OpenFile*> through;  ///< Handles that it was locked through and that are still open.
  bool granted = false;               ///< It has, or had, a lock; otherwise it has only asked.
  int asking = 0;
};

struct InodeState {
  explicit InodeState(Ino number) : ino(number) {}

  const Ino ino;
  int handles = 0;

  wire::Attr attr;  ///< The newest seen; version 0: none yet.
  /// The version that the kernel's cached pages are right for: that of the last open, and own changes since then.
  std::uint64_t cached_version = 0;
  FileMap map;
  Semaphore reading_map{1};
  std::optional<Error> unanswered;      ///< The last read that nobody answered,
  Time unanswered_at{};                 ///< and when it ended.
  std::set<std::string> absent_xattrs;  ///< Asked for and not there, since the inode was opened.

  Unsent unsent;
  std::uint64_t unsent_counted = 0;  ///< As Core has it in its sum.
  Time unsent_since{};
  bool appending = false;  ///< All that is unsent was appended: it belongs where the file ends once it is committed.
  bool beyond_record = false;   ///< … and that is beyond what fits into the record.
  std::int64_t written_at = 0;  ///< Wall clock of the last write.
  Semaphore committing{1};
  Signal stored;               ///< An upload of this inode has ended.
  bool in_background = false;  ///< A background commit is under way.
  Time retry_at{};             ///< Not before this, after a failure.

  // Coherence. The arc says that this mount writes the file: as of this version; 0: it does not, or it is not known.
  std::uint64_t written_as = 0;
  std::uint64_t writing_stamp = 0;    ///< Of the lease under which writes may stay here; 0: none.
  std::uint64_t written_through = 0;  ///< Commits since it was opened here.
  int asked_back = 0;                 ///< Recalls that are being answered.
  bool goes_on = false;               ///< The commit under way is not the last, as far as is known.
  bool behind = false;                ///< Some of what is unsent has been acknowledged to the program.
  std::uint64_t pages_stamp = 0;      ///< Of the lease under which the kernel has pages; 0: it should have none.
  std::uint64_t page_recalls = 0;     ///< How often those were asked back.
  void stop_writing_behind() { writing_stamp = 0; }
  /// A program believes that this is written, and nobody else can see it.
  bool owes() const { return behind && !unsent.empty(); }

  std::map<LockOwner, HeldLocks> locks;  ///< Of this mount; FileLocks has them.

  std::optional<Error> error;  ///< The last failure behind a program's back.
  std::uint64_t errors = 0;    ///< How many there were.
  bool data_lost = false;      ///< A failure that no later success makes good.
  std::uint64_t lost_session =
      0;  ///< Handles of this session and earlier ones had unsent data or locks when it was lost.

  /// Attributes from an arc. Another version than the one known: the map is forgotten.
  void saw(const wire::Attr& seen);
  /// Attributes with what is not committed yet: what a program must see.
  wire::Attr shown(wire::Attr seen) const;
  std::uint64_t shown_size() const { return std::max(attr.size(), unsent.end()); }
  void failed(Error why);
  /// The arc says that our idea of the layout is wrong.
  void forget_layout();
};

}  // namespace chordfs::fs
