#pragma once
// BlockStore: this node's copies of immutable blocks, one file each, verified on every read.
//
// Owner: the node, which also owns the Disk beneath; both outlive every call. Thread: the Runtime's.
// It knows from memory which blocks it has: an index read from the file names when it opens. A block whose file proved
// bad, or whose put or erase has not succeeded (yet), is *suspect*: it is not listed as held, so that repair fetches it
// again and put() replaces it; what of it can still be verified can still be read.
// Errors: those of Disk; corrupt names the block and its file; bad_message: an identifier or a size that no block has.
// Limits: blocks up to kBlockBytesMax; about 150 bytes of memory for each.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/store/block_file.h"
#include "daemon/store/disk.h"
#include "proto/id/id.h"

namespace chordfs {

class BlockStore {
 public:
  struct Held {
    std::string id;
    std::uint32_t length = 0;
  };
  struct Part {
    Bytes bytes;
    std::uint32_t block_length = 0;
    std::uint32_t block_crc = 0;  ///< Of the whole block.
  };
  struct Usage {
    std::uint64_t blocks = 0, bytes = 0;
  };

  /// Lists the disk's files. Those that are not blocks are left alone.
  static awaitable<Result<std::unique_ptr<BlockStore>>> open(Disk& disk);

  /// Durable when it returns; replaces what was there. corrupt: `contents` do not match `crc` (nothing is written).
  awaitable<Result<void>> put(ArcNumber arc, std::string id, Bytes contents, std::uint32_t crc);
  /// Bytes [offset, offset + length), fewer at the end; only the pieces around them are read and verified.
  /// no_block: not here. corrupt: the block is suspect from now on.
  awaitable<Result<Part>> get(ArcNumber arc, std::string id, std::uint32_t offset, std::uint32_t length);
  /// Fine if it is absent already.
  awaitable<Result<void>> erase(ArcNumber arc, std::string id);
  /// Everything of the arc, held and suspect. Goes on after an error; returns the first.
  awaitable<Result<void>> erase_arc(ArcNumber arc);

  std::optional<std::uint32_t> length_of(ArcNumber arc, const std::string& id) const;
  /// What is held, in order of id.
  std::vector<Held> list(ArcNumber arc) const;
  std::vector<std::string> suspects(ArcNumber arc) const;
  /// Of what is held.
  Usage usage(ArcNumber arc) const;
  /// Arcs of which anything is held or suspect, in order.
  std::vector<ArcNumber> arcs() const;

 private:
  enum class State { held, suspect };
  struct Entry {
    State state = State::suspect;
    std::optional<std::uint32_t> length;
    std::uint64_t change = 0;  ///< The put or erase that was begun last; who finds another here decides nothing.
  };
  struct Raw {
    BlockHeader header;
    PieceRange range;
    Bytes data;  ///< From range.begin; may be short.
  };

  explicit BlockStore(Disk& disk) : disk_(disk) {}

  Entry* find(ArcNumber arc, const std::string& id);
  Entry* find(ArcNumber arc, const std::string& id, std::uint64_t change);
  void set_state(ArcNumber arc, Entry& entry, State state);
  void forget(ArcNumber arc, const std::string& id);
  std::uint64_t begin_erase(ArcNumber arc, const std::string& id);
  awaitable<Result<Part>> read_verified(BlockName name, std::uint32_t length_expected, std::uint32_t offset,
                                        std::uint32_t length);
  awaitable<Result<Raw>> read_raw(BlockName name, std::uint32_t length_expected, std::uint32_t offset,
                                  std::uint32_t length);
  awaitable<Result<std::uint32_t>> length_in_header(BlockName name);

  struct Arc {
    std::map<std::string, Entry> blocks;
    Usage usage;
  };
  Disk& disk_;
  std::map<ArcNumber, Arc> arcs_;
  std::uint64_t last_change_ = 0;
};

}  // namespace chordfs
