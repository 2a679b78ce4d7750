#include "fuse/mount/flags.h"

#include <fcntl.h>
#include <linux/fs.h>

#include <array>
#include <cstring>

#include "proto/wire/inode_flags.h"

namespace chordfs::mount {

static_assert(kFlagImmutable == FS_IMMUTABLE_FL && kFlagAppend == FS_APPEND_FL && kFlagNoDump == FS_NODUMP_FL &&
              kFlagNoAtime == FS_NOATIME_FL);

namespace {

struct Pair {
  std::uint32_t flag, xflag;
};
constexpr std::array kPairs = std::to_array<Pair>({
    {kFlagImmutable, FS_XFLAG_IMMUTABLE},
    {kFlagAppend, FS_XFLAG_APPEND},
    {kFlagNoDump, FS_XFLAG_NODUMP},
    {kFlagNoAtime, FS_XFLAG_NOATIME},
});

template <class Value>
std::string bytes_of(const Value& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class Value>
bool read(std::string_view bytes, Value& value) {
  if (bytes.size() < sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  return true;
}

}  // namespace

std::optional<FlagsIoctl> flags_ioctl(unsigned command) {
  switch (command) {
    case FS_IOC_GETFLAGS:
    case FS_IOC32_GETFLAGS:
      return FlagsIoctl{FlagsFormat::flags, false};
    case FS_IOC_SETFLAGS:
    case FS_IOC32_SETFLAGS:
      return FlagsIoctl{FlagsFormat::flags, true};
    case FS_IOC_FSGETXATTR:
      return FlagsIoctl{FlagsFormat::fsxattr, false};
    case FS_IOC_FSSETXATTR:
      return FlagsIoctl{FlagsFormat::fsxattr, true};
    default:
      return std::nullopt;
  }
}

std::string encode_flags(FlagsFormat format, std::uint32_t flags) {
  if (format == FlagsFormat::flags) return bytes_of(flags);
  fsxattr out{};
  for (auto [flag, xflag] : kPairs)
    if (flags & flag) out.fsx_xflags |= xflag;
  return bytes_of(out);
}

Result<std::uint32_t> decode_flags(FlagsFormat format, std::string_view bytes) {
  const Error too_short{Errc::invalid, "flags that are too short"};
  const Error not_kept{Errc::not_supported, "a flag that is not kept here"};
  std::uint32_t flags = 0;
  if (format == FlagsFormat::flags) {
    if (!read(bytes, flags)) return too_short;
    if (flags & ~kFlagsAll) return not_kept;
    return flags;
  }
  fsxattr wanted;
  if (!read(bytes, wanted)) return too_short;
  for (auto [flag, xflag] : kPairs)
    if (wanted.fsx_xflags & xflag) {
      flags |= flag;
      wanted.fsx_xflags &= ~xflag;
    }
  if (wanted.fsx_xflags || wanted.fsx_projid || wanted.fsx_extsize || wanted.fsx_cowextsize) return not_kept;
  return flags;
}

bool may_open(std::uint32_t flags, int open_flags) {
  const bool writes = (open_flags & O_ACCMODE) != O_RDONLY;
  if (flags & kFlagImmutable && (writes || open_flags & O_TRUNC)) return false;
  return !(flags & kFlagAppend) || (!(open_flags & O_TRUNC) && (!writes || open_flags & O_APPEND));
}

}  // namespace chordfs::mount
