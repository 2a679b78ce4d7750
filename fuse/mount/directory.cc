#include "fuse/mount/directory.h"

#include <algorithm>

#include "fuse/mount/attributes.h"
#include "fuse/mount/libfuse.h"

namespace chordfs::mount {

namespace {

/// fuse_direntplus with a name of up to 8 bytes: how many entries a buffer holds at most.
constexpr std::size_t kEntryWithAttributesBytes = 160;

DirectoryEntry dot(std::string_view name, Ino ino, std::uint64_t cookie) {
  return {.name = std::string(name), .ino = ino, .type = wire::FILE_DIRECTORY, .cookie = cookie, .attr = {}};
}

std::size_t entries_max(Listing listing, std::size_t bytes_max) {
  if (listing == Listing::names) return kDirEntriesPerPageMax;
  return std::clamp<std::size_t>(bytes_max / kEntryWithAttributesBytes, 1, kDirEntriesPerPageMax);
}

}  // namespace

bool EntryBuffer::add(const DirectoryEntry& entry) {
  fuse_entry_param param{};
  if (listing_ == Listing::attributes && entry.attr) param = entry_of(*entry.attr);
  // Node id 0 (no attributes) tells the kernel that this entry is a name only. d_ino and d_type come from `attr`.
  param.attr.st_ino = entry.ino;
  param.attr.st_mode = type_bits(entry.type);
  if (param.ino != 0) param.attr.st_mode |= entry.attr->mode() & 07777;

  auto cookie = static_cast<off_t>(entry.cookie);
  auto put = [&](char* to, std::size_t room) {
    // The request is not used by libfuse.
    return listing_ == Listing::names ? fuse_add_direntry(nullptr, to, room, entry.name.c_str(), &param.attr, cookie)
                                      : fuse_add_direntry_plus(nullptr, to, room, entry.name.c_str(), &param, cookie);
  };
  auto needed = put(nullptr, 0);
  auto used = bytes_.size();
  if (used + needed > bytes_max_) return false;
  bytes_.resize(used + needed);
  put(bytes_.data() + used, needed);
  return true;
}

awaitable<Result<std::string>> Directory::read(Listing listing, std::uint64_t cookie, std::size_t bytes_max) {
  EntryBuffer out(listing, bytes_max);
  if (cookie == kCookieStart) {
    page_valid_ = false;
    if (!out.add(dot(".", ino_, kCookieSelf))) co_return std::move(out).take();
    cookie = kCookieSelf;
  }
  if (cookie == kCookieSelf) {
    CO_TRY(wire::Attr self, co_await files_.get_attributes(ino_));
    // The root has no parent but itself.
    if (!out.add(dot("..", self.parent() ? self.parent() : ino_, kCookieParent))) co_return std::move(out).take();
    cookie = kCookieParent;
  }
  if (cookie == kCookieParent) cookie = 0;  // FileSystem's own start.

  auto at = listing == Listing::names ? position_after(cookie) : std::nullopt;
  if (!at) {
    CO_TRY_VOID(co_await read_page(listing, cookie, bytes_max));
    at = 0;
  }
  while (*at < page_.size() && out.add(page_[*at])) ++*at;
  co_return std::move(out).take();
}

awaitable<Result<void>> Directory::read_page(Listing listing, std::uint64_t cookie, std::size_t bytes_max) {
  CO_TRY(page_,
         co_await files_.read_directory(ino_, cookie, entries_max(listing, bytes_max), listing == Listing::attributes));
  page_after_ = cookie;
  // Attributes serve only the call that they were fetched for: the kernel takes them as newer than any write that
  // ended before the call began, and would shrink a file that is being appended to.
  page_valid_ = listing == Listing::names;
  co_return Result<void>();
}

std::optional<std::size_t> Directory::position_after(std::uint64_t cookie) const {
  if (!page_valid_) return {};
  if (cookie == page_after_) return 0;
  auto last = std::ranges::find(page_, cookie, &DirectoryEntry::cookie);
  // After the last one comes another page.
  if (last == page_.end() || last + 1 == page_.end()) return {};
  return last - page_.begin() + 1;
}

}  // namespace chordfs::mount
