#pragma once
// A block as a file: its name, its header with checksums, and which bytes to read for a range. Pure; any thread.
// Format: FORMAT.md, "Block file". Errors: corrupt, naming the file.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/result.h"
#include "proto/wire/limits.h"

namespace chordfs {

inline constexpr std::size_t kPieceBytes = 16U << 10;  ///< What one checksum covers: a read verifies whole pieces.

/// Which block: names are hexadecimal of both, 56 digits.
struct BlockName {
  std::uint32_t arc = 0;
  std::string id;  ///< kBlockIdBytes

  std::string file() const;
  /// Nothing, if it is not a name that file() makes.
  static std::optional<BlockName> parse(std::string_view file);
};

struct BlockHeader {
  std::uint32_t length = 0;
  std::uint32_t crc = 0;                  ///< Of the whole block.
  std::vector<std::uint32_t> piece_crcs;  ///< Of each piece; the last may be short.

  /// The header's bytes for these contents.
  static std::string encode(const BlockName& name, std::string_view contents, std::uint32_t crc);
  /// From a file's beginning; `name` is the name it lies under.
  static Result<BlockHeader> decode(const BlockName& name, std::string_view beginning);
};

/// Of a block of this length.
constexpr std::size_t block_header_bytes(std::size_t length) {
  return 52 + (length + kPieceBytes - 1) / kPieceBytes * 4;
}
inline constexpr std::size_t kBlockHeaderBytesMax = block_header_bytes(kBlockBytesMax);
/// The length of the block in a file of this size; nothing, if no block makes such a file.
std::optional<std::uint32_t> block_length_of_file(std::uint64_t size);

/// The pieces that hold [offset, offset + length), cut at the block's end: [begin, end) within the block.
struct PieceRange {
  std::size_t begin = 0, end = 0;
};
PieceRange pieces_around(std::uint32_t block_length, std::uint32_t offset, std::uint32_t length);
/// `data`: the block's bytes from range.begin on.
Result<void> verify_pieces(const BlockName& name, const BlockHeader& header, PieceRange range, std::string_view data);

}  // namespace chordfs
