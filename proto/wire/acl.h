#pragma once
// Acl: a POSIX access control list (POSIX.1e draft 17, acl(5)) as the kernel and the records have it: the value of the
// extended attribute system.posix_acl_access or system.posix_acl_default. Here because the tree keeps it in step with
// the mode, and the mount hands it down to new files. Permissions themselves are checked by the kernel.
// Pure; any thread. Limits: kAclEntriesMax.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"

namespace chordfs {

inline constexpr std::string_view kAccessAcl = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAcl = "system.posix_acl_default";
/// As many as an ext4 block of 64 KiB could hold.
inline constexpr std::size_t kAclEntriesMax = 8191;

inline bool is_acl(std::string_view xattr) {
  return xattr == kAccessAcl || xattr == kDefaultAcl;
}

class Acl {
 public:
  /// `invalid` for what is no complete list: entries in their order, owner, group and others once each, a mask if there
  /// are named users or groups.
  static Result<Acl> parse(std::string_view value);
  std::string value() const;

  /// Says no more than nine mode bits do.
  bool minimal() const { return entries_.size() == 3; }
  /// Those nine bits. The group's are the mask's, where there is one.
  std::uint32_t mode() const;
  /// chmod(2).
  void set_mode(std::uint32_t mode);
  /// As the access list of a new object that is created with `mode`: each allows no more than the other. Returns what
  /// is left of the mode, with the bits beyond the nine as they were.
  std::uint32_t create_with(std::uint32_t mode);

 private:
  enum class Tag : std::uint16_t { owner = 1, user = 2, group = 4, named_group = 8, mask = 16, others = 32 };
  struct Entry {
    Tag tag;
    std::uint16_t permissions;
    std::uint32_t id;
  };

  bool complete() const;
  /// The place of the entry of this tag; one past the last if there is none.
  std::size_t find(Tag tag) const;
  /// The place of the entry whose permissions the group bits of the mode are.
  std::size_t group_class() const;

  std::vector<Entry> entries_;
};

}  // namespace chordfs
