#pragma once
// Platter: what one simulated disk holds, and what becomes of it in a crash. No time passes here: SimDisk's handle
// decides when something takes effect. Owner: SimDisk and its handles. Thread: the world's only one.

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/sim/disk.h"

namespace chordfs {

using RecordMap = std::map<std::string, std::string, std::less<>>;

class MapView final : public RecordView {
 public:
  explicit MapView(std::shared_ptr<const RecordMap> records) : records_(std::move(records)) {}
  std::optional<std::string> get(std::string_view key) const override;
  void scan(std::string_view from, std::string_view to,
            const std::function<bool(std::string_view, std::string_view)>& visit) const override;

 private:
  std::shared_ptr<const RecordMap> records_;
};

/// Records that are copied on write: views share the map, the next change copies it if any view is left.
class CopiedRecords {
 public:
  std::shared_ptr<const RecordMap> share() const { return records_; }
  std::uint64_t bytes() const { return bytes_; }
  void apply(Batch batch);
  /// Inverts the bit that `chance` chooses; false: no such record, or it is empty.
  bool flip(const std::string& key, std::uint64_t chance);

 private:
  RecordMap& own();
  RecordMap::iterator erase(RecordMap::iterator at);

  std::shared_ptr<RecordMap> records_ = std::make_shared<RecordMap>();
  std::uint64_t bytes_ = 0;
};

class Platter {
 public:
  using PutsUnderWay = std::vector<std::pair<std::string, Bytes>>;

  Platter(Runtime& runtime, SimDiskOptions limits) : world(runtime), options(limits) {}

  /// What happens to the next operation of this kind, if anything bad.
  std::optional<Error> fault(DiskOperation operation);
  /// disk_full, if `more` bytes have no room.
  std::optional<Error> refuse(std::uint64_t more) const;
  std::uint64_t used() const { return current.bytes() + file_bytes_; }

  void apply(Batch batch);
  /// Makes everything applied durable.
  void sync();
  /// A write that failed: may or may not be there after the next crash.
  void doubt(Batch batch) { doubtful_.push_back(std::move(batch)); }

  void put(const std::string& name, Bytes contents);
  void erase(const std::string& name);

  /// `running`: batches being written, in order. `puts`: files being written.
  void crash(Crash kind, std::vector<Batch> running, PutsUnderWay puts);

  Runtime& world;
  SimDiskOptions options;
  std::array<std::optional<Errc>, kDiskOperations> next_fault;
  CopiedRecords current, durable;
  std::map<std::string, Bytes> files;
  const Disk* handle = nullptr;  ///< Who may use this; any other is dead.

 private:
  struct Erased {
    std::string name;
    Bytes contents;
    Time when;
  };

  std::optional<Bytes> take(const std::string& name);
  void settle(Crash kind, const std::string& name, const Bytes& contents);
  void resurrect();

  std::deque<Batch> unsynced_;  ///< In `current`, not in `durable`.
  std::deque<Batch> doubtful_;
  std::uint64_t file_bytes_ = 0;
  std::vector<Erased> erased_;
};

}  // namespace chordfs
