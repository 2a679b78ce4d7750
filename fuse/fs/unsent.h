#pragma once
// Unsent: what was written to one file and is not committed yet. Two layers: dirty bytes, still open to change, and
// below them sealed bytes, which belong to a block that is being stored. Where both have a byte, the dirty one counts.
// Pure: no I/O, no clock. Owner: InodeState. Thread: the Runtime's.
// Limits: a dirty piece is cut off as a block at kWriteBlockBytes, all of them together at kBlockBytesMax; how much
// there may be altogether is the business of WriteBehind.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/result.h"
#include "proto/wire/limits.h"

namespace chordfs::fs {

/// Sequential data becomes blocks of this size.
inline constexpr std::size_t kWriteBlockBytes = 1U << 20;
/// Scattered writes, however small, become a block at this number.
inline constexpr std::size_t kDirtyPiecesMax = 4096;
static_assert(4 * kWriteBlockBytes <= kBlockBytesMax, "a piece, a write and what they border on fit into one block");

/// Bytes that do not change any more, and the block that they are to become.
struct Upload {
  enum class State { kept, storing, stored };

  std::uint64_t number = 0;  ///< In the order of sealing.
  std::string block;         ///< Empty until it is known that a block is needed, and which one.
  Bytes contents;
  std::uint32_t crc = 0;  ///< CRC-32C of the contents; set together with `block`.
  State state = State::kept;
  std::optional<Error> error;  ///< Why the last attempt to store it failed.
};

class Unsent {
 public:
  /// File bytes [offset, offset + length) are bytes [block_offset, …) of the upload.
  struct Piece {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::shared_ptr<Upload> upload;
    std::uint32_t block_offset = 0;
    Bytes bytes() const { return upload->contents.slice(block_offset, length); }
    std::uint64_t end() const { return offset + length; }
  };
  /// Bytes that stand at `offset`, to be laid over older ones.
  struct Patch {
    std::uint64_t offset = 0;
    Bytes bytes;
  };

  bool empty() const { return dirty_.empty() && sealed_.empty(); }
  std::uint64_t bytes() const { return dirty_bytes_ + sealed_bytes_; }
  /// One past the last byte; 0 if empty.
  std::uint64_t end() const;

  /// At most kWriteBlockBytes, not empty.
  void write(std::uint64_t offset, std::string_view bytes);
  /// Seals what has become large enough for a block; returns the new uploads.
  std::vector<std::shared_ptr<Upload>> seal_full();
  /// Seals everything: after this, all there is has a number up to the one returned.
  std::uint64_t seal_all();

  /// Sealed pieces with numbers up to `number_max`, by offset, not overlapping.
  std::vector<Piece> sealed(std::uint64_t number_max) const;
  /// These were committed: what is left of them goes. What was written over them since then stays.
  void forget(const std::vector<Piece>& pieces);

  /// Nothing at or beyond `size` is left.
  void truncate(std::uint64_t size);
  void clear();

  /// What stands in [from, to), oldest first, cut to the range.
  std::vector<Patch> patches(std::uint64_t from, std::uint64_t to) const;
  bool covers(std::uint64_t from, std::uint64_t to) const;

 private:
  using Dirty = std::map<std::uint64_t, std::string>;
  using Sealed = std::map<std::uint64_t, Piece>;

  bool overwrite_in_place(std::uint64_t offset, std::string_view bytes);
  void cut_dirty(std::uint64_t from, std::uint64_t to);
  void append_or_add(std::uint64_t offset, std::string_view bytes);
  std::shared_ptr<Upload> seal(Dirty::iterator first, Dirty::iterator last);
  std::vector<std::shared_ptr<Upload>> seal_in_groups();
  void cut_sealed(std::uint64_t from, std::uint64_t to);
  void add_sealed(Piece piece);

  Dirty dirty_;    ///< By offset; never empty strings, never overlapping.
  Sealed sealed_;  ///< By offset; never overlapping.
  std::uint64_t dirty_bytes_ = 0;
  std::uint64_t sealed_bytes_ = 0;
  bool full_ = false;  ///< Some dirty piece has reached kWriteBlockBytes.
  std::uint64_t last_number_ = 0;
};

}  // namespace chordfs::fs
