#pragma once
// BlockCache: whole blocks that were read, or are about to be. Blocks are immutable, so nothing here is ever out of
// date. Several who want the same block at once share one fetch.
// Owner: Reader. Thread: the Runtime's. Errors: those of Client::get_block; `corrupt` if the bytes are not those that
// the map promises. Limits: so many bytes, the oldest go first.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "fuse/fs/lru.h"
#include "proto/client/client.h"

namespace chordfs::fs {

class BlockCache {
 public:
  BlockCache(Client& client, std::size_t bytes_max) : client_(client), blocks_(bytes_max) {}

  std::optional<Bytes> find(const std::string& block);
  /// In the cache or on its way into it.
  bool expected(const std::string& block) const { return blocks_.contains(block) || flights_.contains(block); }
  /// The whole block that an extent names.
  awaitable<Result<Bytes>> fetch(std::string block, std::uint32_t length, std::uint32_t crc);

 private:
  struct Flight {
    Signal over;
    std::optional<Result<Bytes>> result;  ///< Still nothing when it is over: whoever fetched was cancelled.
  };
  awaitable<Result<Bytes>> fetch_verified(std::string block, std::uint32_t length, std::uint32_t crc);

  Client& client_;
  Lru<std::string, Bytes> blocks_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace chordfs::fs
