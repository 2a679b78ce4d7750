#pragma once
// FileDirectory: the files of a Disk, in 256 folders of one data directory, through blocking system calls.
// Owner: RealDisk. Thread: any number at once, but not two changes of one name. Errors: io_error, disk_full, no_block.
// Format and crash behaviour: FORMAT.md, "blocks/".

#include <atomic>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/store/disk.h"
#include "daemon/store/os_error.h"

namespace chordfs {

class FileDirectory {
 public:
  /// Creates what is missing, removes what a crash left half written, counts the bytes of all files.
  static Result<std::unique_ptr<FileDirectory>> open(std::filesystem::path root);

  /// Durable under its name when it returns.
  Result<void> put(std::string_view name, std::span<const Bytes> pieces);
  Result<Bytes> read(std::string_view name, std::uint64_t offset, std::size_t size) const;
  Result<void> erase(std::string_view name);
  Result<std::vector<FileInfo>> list() const;
  /// Contents of all files together.
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  explicit FileDirectory(std::filesystem::path root) : root_(std::move(root)) {}

  std::string folder_of(std::string_view name) const;
  std::string path_of(std::string_view name) const;
  Result<void> create_folders();
  Result<void> count_and_sweep();
  /// Fills the file, syncs it and gives it its name; `named`: it has the name `temporary` (and kept it, on an error).
  Result<void> write_and_publish(int file, std::span<const Bytes> pieces, const std::string& path,
                                 const std::string& temporary, bool& named);

  std::filesystem::path root_;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::atomic<std::uint64_t> next_temporary_ = 0;
};

}  // namespace chordfs
