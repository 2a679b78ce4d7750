#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/arc/copies/copies.h"

namespace chordfs {

namespace {
constexpr Duration kFetchTimeout = 2s;
/// After this silence another member is asked beside the first.
constexpr Duration kPatience = 300ms;
constexpr Duration kAskingTime = 2500ms;

bool lacks(Errc code) {
  return code == Errc::no_block || code == Errc::corrupt || code == Errc::io_error;
}
}  // namespace

awaitable<Result<BlockStore::Part>> Copies::get(ArcNumber arc, std::string block, std::uint32_t offset,
                                                std::uint32_t length, Look look) {
  auto own = co_await blocks_.get(arc, block, offset, length);
  if (own || !lacks(own.code())) co_return own;
  auto members = hooks_.members(arc);
  if (look == Look::here) {
    if (own.code() == Errc::corrupt) start_mending(arc, block, std::nullopt);
    co_return own;
  }
  if (!members) co_return Error{Errc::not_owner, fmt::format("no replica of arc {} is here", arc)};
  if (dropped(arc, block)) co_return Error{Errc::no_block, fmt::format("block {} was dropped", hex(block))};
  auto found = co_await fetch_anywhere(arc, block, *members);
  if (found.code() == Errc::no_block) co_return own;
  CO_TRY(auto whole, std::move(found));
  start_mending(arc, block, whole);
  whole.bytes = whole.bytes.slice(offset, length);
  co_return whole;
}

// ---- From others ----

awaitable<Result<BlockStore::Part>> Copies::fetch(ArcNumber arc, std::string block, Replica from) {
  Request request;
  auto& get = *request.header.mutable_get_block();
  get.set_arc(arc);
  get.set_block(block);
  get.set_length(kBlockBytesMax);
  get.set_here(true);
  CO_TRY(auto reply, co_await call(from, std::move(request), kFetchTimeout));
  const auto& header = reply.header.block();
  if (reply.payload.size() != header.block_length() || crc32c(reply.payload.view()) != header.crc())
    co_return Error{Errc::corrupt, fmt::format("block {} of arc {} from {}", hex(block), arc, from.at.text())};
  co_return BlockStore::Part{std::move(reply.payload), header.block_length(), header.crc()};
}

/// One block that is looked for.
struct Copies::Asking {
  ArcNumber arc;
  std::string block;
  std::optional<BlockStore::Part> found = {};
  std::size_t answered = 0;  ///< Of those asked, with whatever.
  std::size_t without = 0;   ///< Said that they have no such block.
  Signal changed = {};
};

awaitable<void> Copies::ask(std::shared_ptr<Asking> asking, Replica member) {
  auto part = co_await fetch(asking->arc, asking->block, member);
  ++asking->answered;
  if (part.code() == Errc::no_block) ++asking->without;
  if (part && !asking->found) asking->found = std::move(*part);
  asking->changed.notify_all();
}

/// no_block: all said so. busy: some did not answer, or have a broken copy.
awaitable<Result<BlockStore::Part>> Copies::fetch_anywhere(ArcNumber arc, std::string block, Members members) {
  Replicas others;
  for (bool live : {true, false})
    for (const auto& one : members.view.everybody())
      if (!(one == members.self) && members.live.contains(one.node) == live) others.push_back(one);
  auto asking = std::make_shared<Asking>(Asking{arc, block});
  auto deadline = runtime_.now() + kAskingTime;
  std::size_t asked = 0;
  while (!asking->found && (asked < others.size() || asking->answered < asked) && runtime_.now() < deadline) {
    if (asked < others.size()) tasks_.spawn("look for a block", ask(asking, others[asked++]));
    auto until = asked < others.size() ? std::min(runtime_.now() + kPatience, deadline) : deadline;
    while (!asking->found && asking->answered < asked && runtime_.now() < until)
      co_await asking->changed.wait_for(runtime_, until - runtime_.now());
  }
  if (asking->found) co_return *asking->found;
  if (asking->without == others.size())
    co_return Error{Errc::no_block, fmt::format("no member of arc {} has block {}", arc, hex(block))};
  co_return Error{Errc::busy, fmt::format("block {} of arc {}: not every member has answered", hex(block), arc)};
}

awaitable<Result<void>> Copies::keep(ArcNumber arc, std::string block, BlockStore::Part part) {
  if (!hooks_.members(arc) || dropped(arc, block) || blocks_.length_of(arc, block)) co_return Result<void>();
  co_return co_await blocks_.put(arc, std::move(block), std::move(part.bytes), part.block_crc);
}

// ---- Mending ----

void Copies::start_mending(ArcNumber arc, const std::string& block, std::optional<BlockStore::Part> found) {
  if (mending_.emplace(arc, block).second) tasks_.spawn("mend a block", mend(arc, block, std::move(found)));
}

awaitable<void> Copies::mend(ArcNumber arc, std::string block, std::optional<BlockStore::Part> found) {
  Result<void> kept;
  auto members = hooks_.members(arc);
  if (!found && members) {
    auto fetched = co_await fetch_anywhere(arc, block, *members);
    if (fetched)
      found = std::move(*fetched);
    else
      kept = fetched.error();
  }
  if (found) kept = co_await keep(arc, block, std::move(*found));
  mending_.erase({arc, block});
  if (kept || kept.code() == Errc::cancelled) co_return;
  spdlog::warn("block {} of arc {} cannot be mended now: {}", hex(block), arc, kept.error().text());
  changed(arc);  // It counts as missing, so comparing goes on trying.
}

}  // namespace chordfs
