#include "proto/wire/acl.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace chordfs {

namespace {
// linux/posix_acl_xattr.h: a version, then entries of tag, permissions and id, all little-endian.
static_assert(std::endian::native == std::endian::little, "the kernel's form is this machine's form");
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kHeaderBytes = 4, kEntryBytes = 8;
constexpr std::uint32_t kNoId = 0xFFFFFFFF;

template <class T>
T read(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}
}  // namespace

Result<Acl> Acl::parse(std::string_view value) {
  const Error bad{Errc::invalid, "no access control list"};
  if (value.size() < kHeaderBytes || (value.size() - kHeaderBytes) % kEntryBytes != 0) return bad;
  if (read<std::uint32_t>(value, 0) != kVersion) return bad;
  if ((value.size() - kHeaderBytes) / kEntryBytes > kAclEntriesMax) return bad;
  Acl acl;
  for (auto at = kHeaderBytes; at < value.size(); at += kEntryBytes)
    acl.entries_.push_back({static_cast<Tag>(read<std::uint16_t>(value, at)), read<std::uint16_t>(value, at + 2),
                            read<std::uint32_t>(value, at + 4)});
  if (!acl.complete()) return bad;
  return acl;
}

bool Acl::complete() const {
  // In this order, and of the named ones as many as there are.
  constexpr Tag kOrder[] = {Tag::owner, Tag::user, Tag::group, Tag::named_group, Tag::mask, Tag::others};
  auto at = entries_.begin();
  bool named = false;
  for (auto tag : kOrder) {
    const bool is_named = tag == Tag::user || tag == Tag::named_group;
    const auto first = at;
    for (; at != entries_.end() && at->tag == tag; ++at)
      if (at->permissions > 7 || (is_named && at->id == kNoId)) return false;
    const auto count = at - first;
    if (is_named)
      named = named || count > 0;
    else if (tag == Tag::mask ? count > 1 || (named && count == 0) : count != 1)
      return false;
  }
  return at == entries_.end();
}

std::string Acl::value() const {
  std::string bytes;
  append(bytes, kVersion);
  for (const auto& entry : entries_) {
    append(bytes, static_cast<std::uint16_t>(entry.tag));
    append(bytes, entry.permissions);
    append(bytes, entry.id);
  }
  return bytes;
}

std::size_t Acl::find(Tag tag) const {
  return static_cast<std::size_t>(std::ranges::find(entries_, tag, &Entry::tag) - entries_.begin());
}

std::size_t Acl::group_class() const {
  const auto mask = find(Tag::mask);
  return mask < entries_.size() ? mask : find(Tag::group);
}

std::uint32_t Acl::mode() const {
  const std::uint32_t owner = entries_[find(Tag::owner)].permissions, group = entries_[group_class()].permissions;
  return owner << 6U | group << 3U | entries_[find(Tag::others)].permissions;
}

void Acl::set_mode(std::uint32_t mode) {
  entries_[find(Tag::owner)].permissions = mode >> 6U & 7U;
  entries_[group_class()].permissions = mode >> 3U & 7U;
  entries_[find(Tag::others)].permissions = mode & 7U;
}

std::uint32_t Acl::create_with(std::uint32_t mode) {
  const auto both = this->mode() & mode;
  set_mode(both);
  return (mode & ~0777U) | both;
}

}  // namespace chordfs
