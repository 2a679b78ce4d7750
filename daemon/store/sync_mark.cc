#include "daemon/store/sync_mark.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "daemon/store/os_error.h"
#include "proto/base/bytes.h"

namespace chordfs {

namespace {

constexpr std::size_t kFileBytes = 4096;
// Two slots in turn, in sectors of their own: a torn write of one leaves the other.
constexpr std::size_t kSlots[] = {0, 2048};
constexpr std::size_t kSlotBytes = 16;
constexpr std::uint32_t kMagic = 0x4368536d;  // "ChSm"

std::string encode(std::uint64_t sequence) {
  std::string slot;
  append_u32(slot, kMagic);
  append_u32(slot, static_cast<std::uint32_t>(sequence >> 32));
  append_u32(slot, static_cast<std::uint32_t>(sequence));
  append_u32(slot, crc32c(slot));
  return slot;
}

std::optional<std::uint64_t> decode(std::string_view slot) {
  if (read_u32(slot) != kMagic || read_u32(slot.substr(12)) != crc32c(slot.substr(0, 12))) return std::nullopt;
  return std::uint64_t{read_u32(slot.substr(4))} << 32 | read_u32(slot.substr(8));
}

Result<std::uint64_t> decode_page(std::string_view page, const std::string& path) {
  std::optional<std::uint64_t> newest;
  if (page.size() == kFileBytes)
    for (auto at : kSlots)
      if (auto sequence = decode(page.substr(at, kSlotBytes))) newest = std::max(newest.value_or(0), *sequence);
  if (newest) return *newest;
  return {Errc::corrupt,
          fmt::format("{} is damaged, so that nobody can say whether the log beside it is whole; to start "
                      "nevertheless, remove this file",
                      path)};
}

std::string first_page() {
  std::string page = encode(0);
  page.resize(kFileBytes, '\0');
  page.replace(kSlots[1], kSlotBytes, encode(0));
  return page;
}

/// Under its name only when it is whole: a crash must not leave a file that looks damaged.
Result<void> create(const std::string& path) {
  auto temporary = path + ".new";
  Descriptor file(::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return os_error(errno, "create " + temporary);
  auto page = first_page();
  auto written = ::write(file.number(), page.data(), page.size());
  if (written != static_cast<ssize_t>(page.size())) return os_error(written < 0 ? errno : ENOSPC, "write " + temporary);
  if (::fsync(file.number()) != 0) return os_error(errno, "fsync " + temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return os_error(errno, "rename " + temporary);
  return {};
}

}  // namespace

Result<std::uint64_t> SyncMark::look(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return std::uint64_t{0};
  if (!file.valid()) return os_error(errno, "open " + path.string());
  std::string page(kFileBytes + 1, '\0');
  auto got = ::pread(file.number(), page.data(), page.size(), 0);
  if (got < 0) return os_error(errno, "read " + path.string());
  page.resize(static_cast<std::size_t>(got));
  return decode_page(page, path.string());
}

Result<std::unique_ptr<SyncMark>> SyncMark::open(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) TRY_VOID(create(path.string()));
  TRY(auto sequence, look(path));
  Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file.valid()) return os_error(errno, "open " + path.string());
  void* page = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.number(), 0);
  if (page == MAP_FAILED) return os_error(errno, "map " + path.string());
  std::unique_ptr<SyncMark> self(new SyncMark(static_cast<char*>(page)));
  self->sequence_ = sequence;
  // The slot that does not hold the newest.
  self->second_ = decode({self->page_ + kSlots[0], kSlotBytes}) == sequence;
  return self;
}

SyncMark::~SyncMark() {
  ::munmap(page_, kFileBytes);
}

void SyncMark::advance(std::uint64_t sequence) {
  std::lock_guard lock(mutex_);
  if (sequence <= sequence_) return;
  sequence_ = sequence;
  std::memcpy(page_ + kSlots[second_ ? 1 : 0], encode(sequence).data(), kSlotBytes);
  second_ = !second_;
}

}  // namespace chordfs
