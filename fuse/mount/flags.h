#pragma once
// The flags of chattr(1) as the ioctls of <linux/fs.h> have them <-> as an inode has them. Pure.
// The kernel asks in both formats whichever a program used, and checks CAP_LINUX_IMMUTABLE and ownership itself.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace chordfs::mount {

enum class FlagsFormat { flags, fsxattr };  ///< FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR; and those that set.

/// What an ioctl asks for; nothing: it is none of these.
struct FlagsIoctl {
  FlagsFormat format = FlagsFormat::flags;
  bool sets = false;
};
std::optional<FlagsIoctl> flags_ioctl(unsigned command);

/// The answer to one that gets.
std::string encode_flags(FlagsFormat format, std::uint32_t flags);
/// What one that sets wants. not_supported: a flag, or a project, that is not kept here; invalid: too short.
Result<std::uint32_t> decode_flags(FlagsFormat format, std::string_view bytes);

/// May a file with these flags be opened so (O_WRONLY, O_APPEND, …)? As may_open() of Linux.
bool may_open(std::uint32_t flags, int open_flags);

}  // namespace chordfs::mount
