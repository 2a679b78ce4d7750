#pragma once
// Flags of an inode, as chattr(1) sets them and wire::Attr.flags has them. The values are those of <linux/fs.h>.

#include <cstdint>

namespace chordfs {

inline constexpr std::uint32_t kFlagImmutable = 0x10;  ///< Nothing of it changes, and no entry of it.
inline constexpr std::uint32_t kFlagAppend = 0x20;     ///< Only grows; of a directory: no entry goes.
inline constexpr std::uint32_t kFlagNoDump = 0x40;     ///< For backups.
inline constexpr std::uint32_t kFlagNoAtime = 0x80;    ///< Reading does not set the time of access.

inline constexpr std::uint32_t kFlagsSticking = kFlagImmutable | kFlagAppend;
inline constexpr std::uint32_t kFlagsAll = kFlagsSticking | kFlagNoDump | kFlagNoAtime;
/// What a new inode has from its directory.
inline constexpr std::uint32_t kFlagsInherited = kFlagNoDump | kFlagNoAtime;

}  // namespace chordfs
