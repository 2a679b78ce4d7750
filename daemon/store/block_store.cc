#include "daemon/store/block_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace chordfs {

namespace {

/// A range that begins this early is read together with the header: cheaper than a second call.
constexpr std::size_t kReadTogetherBytesMax = 64U << 10;
constexpr std::size_t kErasuresAtOnceMax = 64;

Result<void> check_id(std::string_view id) {
  if (id.size() == kBlockIdBytes) return {};
  return {Errc::bad_message, fmt::format("block identifier of {} bytes", id.size())};
}

}  // namespace

awaitable<Result<std::unique_ptr<BlockStore>>> BlockStore::open(Disk& disk) {
  std::unique_ptr<BlockStore> self(new BlockStore(disk));
  CO_TRY(auto files, co_await disk.list_files());
  for (const auto& file : files) {
    auto name = BlockName::parse(file.name);
    if (!name) continue;
    auto& entry = self->arcs_[name->arc].blocks[name->id];
    entry.length = block_length_of_file(file.size);
    if (entry.length) self->set_state(name->arc, entry, State::held);
  }
  co_return self;
}

// ---- The index ----

BlockStore::Entry* BlockStore::find(ArcNumber arc, const std::string& id) {
  auto at = arcs_.find(arc);
  if (at == arcs_.end()) return nullptr;
  auto block = at->second.blocks.find(id);
  return block == at->second.blocks.end() ? nullptr : &block->second;
}

BlockStore::Entry* BlockStore::find(ArcNumber arc, const std::string& id, std::uint64_t change) {
  auto* entry = find(arc, id);
  return entry && entry->change == change ? entry : nullptr;
}

void BlockStore::set_state(ArcNumber arc, Entry& entry, State state) {
  if (entry.state == state) return;
  auto& usage = arcs_[arc].usage;
  if (state == State::held) {
    usage.blocks += 1;
    usage.bytes += entry.length.value_or(0);
  } else {
    usage.blocks -= 1;
    usage.bytes -= entry.length.value_or(0);
  }
  entry.state = state;
}

void BlockStore::forget(ArcNumber arc, const std::string& id) {
  auto* entry = find(arc, id);
  if (!entry) return;
  set_state(arc, *entry, State::suspect);
  auto at = arcs_.find(arc);
  at->second.blocks.erase(id);
  if (at->second.blocks.empty()) arcs_.erase(at);
}

std::optional<std::uint32_t> BlockStore::length_of(ArcNumber arc, const std::string& id) const {
  auto at = arcs_.find(arc);
  if (at == arcs_.end()) return std::nullopt;
  auto block = at->second.blocks.find(id);
  if (block == at->second.blocks.end() || block->second.state != State::held) return std::nullopt;
  return block->second.length;
}

std::vector<BlockStore::Held> BlockStore::list(ArcNumber arc) const {
  std::vector<Held> held;
  auto at = arcs_.find(arc);
  if (at == arcs_.end()) return held;
  for (const auto& [id, entry] : at->second.blocks)
    if (entry.state == State::held) held.push_back({id, entry.length.value_or(0)});
  return held;
}

std::vector<std::string> BlockStore::suspects(ArcNumber arc) const {
  std::vector<std::string> ids;
  auto at = arcs_.find(arc);
  if (at == arcs_.end()) return ids;
  for (const auto& [id, entry] : at->second.blocks)
    if (entry.state == State::suspect) ids.push_back(id);
  return ids;
}

BlockStore::Usage BlockStore::usage(ArcNumber arc) const {
  auto at = arcs_.find(arc);
  return at == arcs_.end() ? Usage() : at->second.usage;
}

std::vector<ArcNumber> BlockStore::arcs() const {
  std::vector<ArcNumber> numbers;
  for (const auto& [number, arc] : arcs_) numbers.push_back(number);
  return numbers;
}

// ---- Changes ----

awaitable<Result<void>> BlockStore::put(ArcNumber arc, std::string id, Bytes contents, std::uint32_t crc) {
  CO_TRY_VOID(check_id(id));
  BlockName name{arc, id};
  if (contents.size() > kBlockBytesMax)
    co_return Error{Errc::bad_message, fmt::format("block {} has {} bytes", hex(id), contents.size())};
  if (crc32c(contents.view()) != crc)
    co_return Error{Errc::corrupt, fmt::format("contents for block {} do not match their checksum", hex(id))};
  auto length = static_cast<std::uint32_t>(contents.size());
  auto header = Bytes::take(BlockHeader::encode(name, contents.view(), crc));
  auto change = ++last_change_;
  // Suspect until it is durable, and for good if this coroutine is cancelled: the file may or may not appear.
  arcs_[arc].blocks[id].change = change;
  CO_TRY_VOID(co_await disk_.put_file(name.file(), {std::move(header), std::move(contents)}));
  if (auto* entry = find(arc, id, change)) {
    set_state(arc, *entry, State::suspect);
    entry->length = length;
    set_state(arc, *entry, State::held);
  }
  co_return Result<void>();
}

std::uint64_t BlockStore::begin_erase(ArcNumber arc, const std::string& id) {
  auto change = ++last_change_;
  if (auto* entry = find(arc, id)) {
    set_state(arc, *entry, State::suspect);
    entry->change = change;
  }
  return change;
}

awaitable<Result<void>> BlockStore::erase(ArcNumber arc, std::string id) {
  CO_TRY_VOID(check_id(id));
  auto change = begin_erase(arc, id);
  CO_TRY_VOID(co_await disk_.erase_file(BlockName{arc, id}.file()));
  if (find(arc, id, change)) forget(arc, id);
  co_return Result<void>();
}

awaitable<Result<void>> BlockStore::erase_arc(ArcNumber arc) {
  std::vector<std::string> ids;
  if (auto at = arcs_.find(arc); at != arcs_.end())
    for (const auto& [id, entry] : at->second.blocks) ids.push_back(id);
  Result<void> first;
  for (std::size_t begin = 0; begin < ids.size(); begin += kErasuresAtOnceMax) {
    struct Erasure {
      std::string id;
      std::uint64_t change;
      awaitable<Result<void>> done;
    };
    std::vector<Erasure> erasures;
    for (auto i = begin; i < std::min(ids.size(), begin + kErasuresAtOnceMax); ++i)
      erasures.push_back({ids[i], begin_erase(arc, ids[i]), disk_.erase_file(BlockName{arc, ids[i]}.file())});
    for (auto& erasure : erasures) {
      auto result = co_await std::move(erasure.done);
      if (!result && first) first = result;
      if (result && find(arc, erasure.id, erasure.change)) forget(arc, erasure.id);
    }
  }
  co_return first;
}

// ---- Reading ----

awaitable<Result<BlockStore::Part>> BlockStore::get(ArcNumber arc, std::string id, std::uint32_t offset,
                                                    std::uint32_t length) {
  CO_TRY_VOID(check_id(id));
  BlockName name{arc, id};
  const auto* entry = find(arc, id);
  if (!entry) co_return Error{Errc::no_block, fmt::format("block {} of arc {}", hex(id), arc)};
  auto change = entry->change;
  auto known = entry->length;
  if (!known) {
    auto in_header = co_await length_in_header(name);
    if (in_header.code() == Errc::no_block && find(arc, id, change)) forget(arc, id);
    CO_TRY(known, std::move(in_header));
  }
  auto part = co_await read_verified(name, *known, offset, length);
  auto* now = find(arc, id, change);
  if (now && part.code() == Errc::no_block) forget(arc, id);
  if (now && part.code() == Errc::corrupt) set_state(arc, *now, State::suspect);
  co_return part;
}

awaitable<Result<std::uint32_t>> BlockStore::length_in_header(BlockName name) {
  CO_TRY(auto beginning, co_await disk_.read_file(name.file(), 0, kBlockHeaderBytesMax));
  CO_TRY(auto header, BlockHeader::decode(name, beginning.view()));
  co_return header.length;
}

awaitable<Result<BlockStore::Part>> BlockStore::read_verified(BlockName name, std::uint32_t length_expected,
                                                              std::uint32_t offset, std::uint32_t length) {
  CO_TRY(auto raw, co_await read_raw(name, length_expected, offset, length));
  CO_TRY_VOID(verify_pieces(name, raw.header, raw.range, raw.data.view()));
  auto end = std::min<std::size_t>(std::size_t{offset} + length, raw.range.end);
  auto part = raw.range.end == 0 ? Bytes() : raw.data.slice(offset - raw.range.begin, end - offset);
  co_return Part{std::move(part), raw.header.length, raw.header.crc};
}

awaitable<Result<BlockStore::Raw>> BlockStore::read_raw(BlockName name, std::uint32_t length_expected,
                                                        std::uint32_t offset, std::uint32_t length) {
  auto header_bytes = block_header_bytes(length_expected);
  auto range = pieces_around(length_expected, offset, length);
  Bytes beginning, data;
  if (range.begin <= kReadTogetherBytesMax) {
    CO_TRY(beginning, co_await disk_.read_file(name.file(), 0, header_bytes + range.end));
    auto skip = header_bytes + range.begin;
    data = beginning.slice(skip, range.end - range.begin);
  } else {
    auto reading = disk_.read_file(name.file(), header_bytes + range.begin, range.end - range.begin);
    CO_TRY(beginning, co_await disk_.read_file(name.file(), 0, header_bytes));
    CO_TRY(data, co_await std::move(reading));
  }
  CO_TRY(auto header, BlockHeader::decode(name, beginning.view()));
  if (header.length != length_expected)
    co_return Error{Errc::corrupt, fmt::format("block {} of arc {}, file {}: {} bytes by its header, {} by its size",
                                               hex(name.id), name.arc, name.file(), header.length, length_expected)};
  co_return Raw{std::move(header), range, std::move(data)};
}

}  // namespace chordfs
