#pragma once
// SimDisk: a Disk in memory, in virtual time, that loses what was not synced, tears, refuses and flips bits.
//
// A SimDisk is the platter: it belongs to the world and lives through crashes. Each incarnation of its node works on
// the handle that open() gives. crash() ends the handle: everything under way completes with `cancelled` and so does
// every later call. A handle that is destroyed without a crash leaves the platter as a kill would. An operation takes
// effect after its latency and is acknowledged a little later: a crash may fall in between. All chance comes from the
// world's Runtime, so a seed repeats it. Passes tests/daemon/store/disk_contract. Thread: the world's only one. Errors:
// those that were asked for, and disk_full at `capacity_bytes`.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/store/disk.h"

namespace chordfs {

enum class Crash {
  power_loss,    ///< Keeps what was synced, and a prefix of the rest. Erased files may come back.
  process_kill,  ///< Keeps what was applied, as a page cache does, and a prefix of what was under way.
};

enum class DiskOperation { commit, update, read, put_file, read_file, erase_file, list_files };
inline constexpr std::size_t kDiskOperations = 7;

struct SimDiskOptions {
  /// Each operation takes half to one and a half of these.
  struct Latency {
    Duration commit = 20us, sync = 1ms, update = 20us, read = 20us;
    Duration put_file = 2ms, read_file = 200us, erase_file = 100us, list_files = 1ms;
    Duration acknowledge = 5us;
  } latency;
  std::uint64_t capacity_bytes = std::uint64_t{1} << 40;
  double io_error_probability = 0;  ///< Of each operation.
  /// A power loss may leave a file that was being written under its name with wrong contents, as a disk that lies about
  /// its syncs does.
  bool torn_files = false;
};

class Platter;

class SimDisk {
 public:
  using Options = SimDiskOptions;

  /// `world`: gives chance; outlives this.
  explicit SimDisk(Runtime& world, Options options = {});
  ~SimDisk();
  SimDisk(const SimDisk&) = delete;

  /// The handle of the next incarnation, whose time is `runtime`'s; one that is still open is killed first.
  std::unique_ptr<Disk> open(Runtime& runtime);
  void crash(Crash kind);
  /// An empty disk, as from the shop; kills the handle.
  void wipe();
  /// The same, and yet these records are still there: a disk that was not wiped as it should be.
  void wipe_all_but(const std::string& from, const std::string& to);

  /// May be changed at any time.
  Options& options();
  /// The next operation of this kind fails so. A commit or update that fails with io_error leaves unknown whether it
  /// happened and ends all writing of records until the next open(), as RealDisk does.
  void fail_next(DiskOperation operation, Errc code);

  /// Inverts one bit of a record's value, synced or not; false: there is no such record, or it is empty.
  bool flip_record(const std::string& key);
  bool flip_any_record();
  /// Inverts a bit of the byte at `offset`.
  bool flip_file(const std::string& name, std::uint64_t offset);
  bool flip_any_file();
  /// Replaces a file's contents, without time or sync; for tests that damage one.
  void set_file(const std::string& name, Bytes contents);

  /// What a power loss at this moment would leave at least: what invariant checks look at.
  std::shared_ptr<const RecordView> durable() const;
  std::shared_ptr<const RecordView> visible() const;
  std::vector<FileInfo> files() const;
  bool has_file(const std::string& name) const;
  /// Of one file, empty if there is none.
  Bytes file(const std::string& name) const;

 private:
  class Handle;
  std::shared_ptr<Platter> platter_;
  Handle* handle_ = nullptr;  ///< Alive only while the platter says so.
};

}  // namespace chordfs
