#include "fuse/fs/block_cache.h"

#include <fmt/format.h>

namespace chordfs::fs {

std::optional<Bytes> BlockCache::find(const std::string& block) {
  auto* bytes = blocks_.find(block);
  return bytes ? std::optional(*bytes) : std::nullopt;
}

awaitable<Result<Bytes>> BlockCache::fetch(std::string block, std::uint32_t length, std::uint32_t crc) {
  for (;;) {
    if (auto bytes = find(block)) co_return *bytes;
    auto under_way = flights_.find(block);
    if (under_way == flights_.end()) break;
    auto flight = under_way->second;
    co_await flight->over.wait();
    if (flight->result) co_return *flight->result;
  }
  struct Landing {
    BlockCache& cache;
    const std::string& block;
    std::shared_ptr<Flight> flight;
    ~Landing() {
      cache.flights_.erase(block);
      flight->over.notify_all();
    }
  } landing{*this, block, std::make_shared<Flight>()};
  flights_.emplace(block, landing.flight);
  auto bytes = co_await fetch_verified(block, length, crc);
  if (bytes) blocks_.put(block, *bytes, bytes->size());
  landing.flight->result = bytes;
  co_return bytes;
}

awaitable<Result<Bytes>> BlockCache::fetch_verified(std::string block, std::uint32_t length, std::uint32_t crc) {
  CO_TRY(auto bytes, co_await client_.get_block(block, 0, length));
  if (bytes.size() != length || crc32c(bytes.view()) != crc)
    co_return Error{Errc::corrupt, fmt::format("block {} is not what the file's map says", hex(block))};
  co_return bytes;
}

}  // namespace chordfs::fs
