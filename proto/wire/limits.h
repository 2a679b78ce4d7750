#pragma once
// Every cap that two programs must agree on, in one place. Raising one is a change of protocol.

#include <cstddef>
#include <cstdint>

namespace chordfs {

inline constexpr std::uint32_t kMagic = 0x43685246;   // "ChRF"
inline constexpr std::uint32_t kProtocolVersion = 2;  // 1: blocks named at random.

inline constexpr std::size_t kFrameHeaderBytesMax = 4U << 20;
inline constexpr std::size_t kFramePayloadBytesMax = 5U << 20;

inline constexpr std::size_t kBlockBytesMax = 4U << 20;
inline constexpr std::size_t kBlockIdBytes = 24;  ///< proto/wire/block_id.h
/// Contents up to here live in the inode's record.
inline constexpr std::size_t kInlineBytesMax = 4096;

inline constexpr std::size_t kNameBytesMax = 255;
inline constexpr std::size_t kSymlinkBytesMax = 4095;
inline constexpr std::size_t kXattrNameBytesMax = 255;
inline constexpr std::size_t kXattrValueBytesMax = 65536;
inline constexpr std::size_t kXattrsBytesMax = 65536;  ///< All of one inode together, as ext4 with one block more.
inline constexpr std::uint32_t kLinksMax = 65000;
inline constexpr std::uint64_t kFileBytesMax = (std::uint64_t{1} << 63) - 1;

inline constexpr std::uint32_t kDirEntriesPerPageMax = 2000;
inline constexpr std::uint64_t kRootIno = 1;

}  // namespace chordfs
