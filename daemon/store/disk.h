#pragma once
// Disk: one node's durable memory, and the only door to it: ordered records (RocksDB in production) and files that hold
// blocks. Durable only after sync. The real one is RealDisk (this folder), the simulated one loses, tears and refuses
// (tools/sim); both pass tests/daemon/store/disk_contract.
//
// Owner: the node. Thread: called from the Runtime's thread; functions passed in run on a thread of the disk's own, so
// they must touch nothing but their arguments and captured copies (the caller's coroutine may be cancelled meanwhile).
// An operation starts when it is called, not when its awaitable is awaited, and goes on if the waiter is cancelled:
// whether it happened is then unknown. So two may be started and then both awaited.
// Errors: io_error, disk_full, corrupt (the engine found its own checksum broken), cancelled (the disk is closing).
// After an io_error of a commit or update every later one fails too: a failed sync is never tried again.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/result.h"
#include "proto/base/runtime.h"

namespace chordfs {

/// Ordered records as they were at one moment. Keys compare as unsigned bytes.
class RecordView {
 public:
  virtual ~RecordView() = default;
  virtual std::optional<std::string> get(std::string_view key) const = 0;
  /// Calls `visit(key, value)` for keys in [from, to) in order until it returns false. An empty `to` means no end.
  virtual void scan(std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const = 0;
};

/// Changes that happen together or not at all, in this order.
struct Batch {
  struct Change {
    std::string key;
    std::optional<std::string> value;  ///< Nothing: erase.
  };
  struct Range {
    std::string from, to;  ///< [from, to) is erased, before the changes. An empty `to` means no end.
  };
  std::vector<Range> erased;
  std::vector<Change> changes;

  void put(std::string key, std::string value) { changes.push_back({std::move(key), std::move(value)}); }
  void erase(std::string key) { changes.push_back({std::move(key), std::nullopt}); }
  void erase_range(std::string from, std::string to) { erased.push_back({std::move(from), std::move(to)}); }
  bool empty() const { return erased.empty() && changes.empty(); }
};

inline constexpr std::size_t kKeyBytesMax = 512;

enum class Sync { no, yes };

struct DiskSpace {
  std::uint64_t total = 0, free = 0, used = 0;  ///< Bytes: of the file system, free for us, held by this store.
};

struct FileInfo {
  std::string name;
  std::uint64_t size = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;

  // ---- Records. Commits are applied, and become durable, in the order of the calls: a crash keeps a prefix of them,
  // and everything up to the last one that was synced. A commit and an update that are under way at once may be applied
  // in either order: who needs one before the other waits for it. A key is shorter than kKeyBytesMax. ----

  /// Applies the batch; with Sync::yes returns once it, and all before it, is durable. Concurrent calls share a sync.
  virtual awaitable<Result<void>> commit(Batch batch, Sync sync) = 0;
  /// Runs `plan` on the newest view and commits (unsynced) what it returns. Plans run one after the other, in order.
  virtual awaitable<Result<void>> update(std::move_only_function<Batch(const RecordView&)> plan) = 0;
  /// Runs `look` on a view that holds at least every commit and update that had returned before this call.
  virtual awaitable<Result<void>> read(std::move_only_function<void(const RecordView&)> look) = 0;
  /// read(), here and now, if all that `look` touches is in memory: no thread is woken for what is warm. False if not;
  /// then `look` may have run in part, and what it gathered is void.
  virtual bool try_read(const std::function<void(const RecordView&)>& look) {
    static_cast<void>(look);
    return false;
  }
  /// A view that stays as it is until released. Use it only inside `read_at`.
  virtual std::shared_ptr<const RecordView> snapshot() = 0;
  virtual awaitable<Result<void>> read_at(std::shared_ptr<const RecordView> view,
                                          std::move_only_function<void(const RecordView&)> look) = 0;

  // ---- Files: written once, whole, then read in parts. A name is [0-9a-f]{2,64}. Puts and erasures of one name
  // happen in the order of the calls. ----

  /// Durable under its name when it returns; before that a crash leaves the file absent. Replaces an existing one.
  virtual awaitable<Result<void>> put_file(std::string name, std::vector<Bytes> pieces) = 0;
  /// Up to `size` bytes from `offset`; fewer at the end. no_block: no such file.
  virtual awaitable<Result<Bytes>> read_file(std::string name, std::uint64_t offset, std::size_t size) = 0;
  /// Fine if it is absent already. Not synced: a power loss may bring the file back.
  virtual awaitable<Result<void>> erase_file(std::string name) = 0;
  /// Every file, in no particular order.
  virtual awaitable<Result<std::vector<FileInfo>>> list_files() = 0;

  virtual awaitable<Result<DiskSpace>> space() = 0;
};

}  // namespace chordfs
