#pragma once
// SyncMark: up to which sequence number RocksDB's log was synced, in a small file of its own. RocksDB takes a damaged
// byte in the log for the log's end; with the mark it is seen that something synced would be missing.
//
// The mark lives in a mapped page that the kernel writes when it likes: advancing costs no system call and no sync. So
// after a power loss it may lag behind what was synced, but it never runs ahead. It survives a killed process whole.
// Owner: RecordEngine. Thread: any number at once. Errors: io_error, disk_full, corrupt. Format: FORMAT.md.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>

#include "proto/base/result.h"

namespace chordfs {

class SyncMark {
 public:
  /// Creates the file if it is missing: then the mark is 0.
  static Result<std::unique_ptr<SyncMark>> open(const std::filesystem::path& path);
  /// The mark of a file as it stands, 0 if there is none. Changes nothing.
  static Result<std::uint64_t> look(const std::filesystem::path& path);
  ~SyncMark();
  SyncMark(const SyncMark&) = delete;
  SyncMark& operator=(const SyncMark&) = delete;

  /// Everything up to `sequence` is synced. Never goes back.
  void advance(std::uint64_t sequence);

 private:
  explicit SyncMark(char* page) : page_(page) {}

  char* page_;
  std::mutex mutex_;  ///< Over all below and the page.
  std::uint64_t sequence_ = 0;
  bool second_ = false;  ///< The slot that is written next.
};

}  // namespace chordfs
