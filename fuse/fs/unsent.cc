#include "fuse/fs/unsent.h"

#include <algorithm>

#include "proto/base/check.h"

namespace chordfs::fs {

namespace {
/// From here on a growing piece gets room for a whole block at once, so that it is not copied again and again.
constexpr std::size_t kGrowsLargeBytes = 64U << 10;

/// The last element that starts at or before `offset`, or the first one of all.
template <class Map>
auto at_or_before(Map& map, std::uint64_t offset) {
  auto at = map.upper_bound(offset);
  return at == map.begin() ? at : std::prev(at);
}
}  // namespace

std::uint64_t Unsent::end() const {
  std::uint64_t end = 0;
  if (!dirty_.empty()) end = dirty_.rbegin()->first + dirty_.rbegin()->second.size();
  if (!sealed_.empty()) end = std::max(end, sealed_.rbegin()->second.end());
  return end;
}

// ---- Dirty bytes ----

void Unsent::write(std::uint64_t offset, std::string_view bytes) {
  CHECK(!bytes.empty() && bytes.size() <= kWriteBlockBytes, "{} bytes", bytes.size());
  if (overwrite_in_place(offset, bytes)) return;
  cut_dirty(offset, offset + bytes.size());
  append_or_add(offset, bytes);
}

bool Unsent::overwrite_in_place(std::uint64_t offset, std::string_view bytes) {
  auto at = at_or_before(dirty_, offset);
  if (at == dirty_.end() || at->first > offset) return false;
  auto within = offset - at->first;
  if (within > at->second.size() || bytes.size() > at->second.size() - within) return false;
  at->second.replace(within, bytes.size(), bytes);
  return true;
}

void Unsent::cut_dirty(std::uint64_t from, std::uint64_t to) {
  auto at = at_or_before(dirty_, from);
  while (at != dirty_.end() && at->first < to) {
    auto start = at->first;
    auto end = start + at->second.size();
    if (end <= from) {
      ++at;
      continue;
    }
    auto piece = std::move(at->second);
    at = dirty_.erase(at);
    dirty_bytes_ -= std::min(end, to) - std::max(start, from);
    if (end > to) at = dirty_.emplace(to, piece.substr(to - start)).first;
    if (start < from) {
      piece.resize(from - start);
      at = std::next(dirty_.emplace(start, std::move(piece)).first);
    }
  }
}

void Unsent::append_or_add(std::uint64_t offset, std::string_view bytes) {
  dirty_bytes_ += bytes.size();
  auto at = at_or_before(dirty_, offset);
  if (at == dirty_.end() || at->first + at->second.size() != offset) {
    dirty_.emplace(offset, bytes);
    full_ = full_ || bytes.size() >= kWriteBlockBytes;
    return;
  }
  auto& piece = at->second;
  auto size = piece.size() + bytes.size();
  if (size >= kGrowsLargeBytes && size <= kWriteBlockBytes) piece.reserve(kWriteBlockBytes);
  piece.append(bytes);
  full_ = full_ || piece.size() >= kWriteBlockBytes;
}

// ---- Sealing ----

std::vector<std::shared_ptr<Upload>> Unsent::seal_full() {
  std::vector<std::shared_ptr<Upload>> uploads;
  for (auto at = full_ ? dirty_.begin() : dirty_.end(); at != dirty_.end();) {
    auto piece = at++;
    if (piece->second.size() >= kWriteBlockBytes) uploads.push_back(seal(piece, at));
  }
  full_ = false;
  // Scattered small writes: one block for many of them.
  if (dirty_bytes_ >= kBlockBytesMax || dirty_.size() >= kDirtyPiecesMax)
    std::ranges::move(seal_in_groups(), std::back_inserter(uploads));
  return uploads;
}

std::uint64_t Unsent::seal_all() {
  seal_in_groups();
  return last_number_;
}

std::vector<std::shared_ptr<Upload>> Unsent::seal_in_groups() {
  std::vector<std::shared_ptr<Upload>> uploads;
  while (!dirty_.empty()) {
    auto last = dirty_.begin();
    for (std::size_t size = 0; last != dirty_.end() && size + last->second.size() <= kBlockBytesMax; ++last)
      size += last->second.size();
    uploads.push_back(seal(dirty_.begin(), last));
  }
  return uploads;
}

std::shared_ptr<Upload> Unsent::seal(Dirty::iterator first, Dirty::iterator last) {
  auto upload = std::make_shared<Upload>();
  upload->number = ++last_number_;
  std::string contents;
  bool alone = std::next(first) == last;
  std::vector<Piece> pieces;
  for (auto at = first; at != last; ++at) {
    dirty_bytes_ -= at->second.size();
    pieces.push_back({at->first, at->second.size(), upload, static_cast<std::uint32_t>(contents.size())});
    if (!alone) contents.append(at->second);
  }
  if (alone) contents = std::move(first->second);
  CHECK(contents.size() <= kBlockBytesMax, "{} bytes", contents.size());
  upload->contents = Bytes::take(std::move(contents));
  dirty_.erase(first, last);
  for (auto& piece : pieces) add_sealed(std::move(piece));
  return upload;
}

// ---- Sealed bytes ----

void Unsent::add_sealed(Piece piece) {
  cut_sealed(piece.offset, piece.end());
  sealed_bytes_ += piece.length;
  auto offset = piece.offset;
  sealed_.emplace(offset, std::move(piece));
}

void Unsent::cut_sealed(std::uint64_t from, std::uint64_t to) {
  auto at = at_or_before(sealed_, from);
  while (at != sealed_.end() && at->first < to) {
    if (at->second.end() <= from) {
      ++at;
      continue;
    }
    auto piece = std::move(at->second);
    at = sealed_.erase(at);
    sealed_bytes_ -= std::min(piece.end(), to) - std::max(piece.offset, from);
    if (piece.end() > to) {
      auto rest = piece;
      rest.offset = to;
      rest.length = piece.end() - to;
      rest.block_offset += static_cast<std::uint32_t>(to - piece.offset);
      at = sealed_.emplace(to, std::move(rest)).first;
    }
    if (piece.offset < from) {
      piece.length = from - piece.offset;
      at = std::next(sealed_.emplace(piece.offset, std::move(piece)).first);
    }
  }
}

std::vector<Unsent::Piece> Unsent::sealed(std::uint64_t number_max) const {
  std::vector<Piece> pieces;
  for (const auto& [offset, piece] : sealed_)
    if (piece.upload->number <= number_max) pieces.push_back(piece);
  return pieces;
}

void Unsent::forget(const std::vector<Piece>& pieces) {
  for (const auto& gone : pieces) {
    // It may have been trimmed or split since then, but what carries its upload within its range is part of it.
    for (auto at = at_or_before(sealed_, gone.offset); at != sealed_.end() && at->first < gone.end();) {
      bool within = at->second.upload == gone.upload && at->first >= gone.offset && at->second.end() <= gone.end();
      if (within) sealed_bytes_ -= at->second.length;
      at = within ? sealed_.erase(at) : std::next(at);
    }
  }
}

void Unsent::truncate(std::uint64_t size) {
  cut_dirty(size, ~std::uint64_t{0});
  cut_sealed(size, ~std::uint64_t{0});
}

void Unsent::clear() {
  truncate(0);
}

// ---- Reading ----

std::vector<Unsent::Patch> Unsent::patches(std::uint64_t from, std::uint64_t to) const {
  std::vector<Patch> patches;
  for (auto at = at_or_before(sealed_, from); at != sealed_.end() && at->first < to; ++at) {
    const auto& piece = at->second;
    if (piece.end() <= from) continue;
    auto start = std::max(from, piece.offset);
    patches.push_back({start, piece.bytes().slice(start - piece.offset, std::min(to, piece.end()) - start)});
  }
  for (auto at = at_or_before(dirty_, from); at != dirty_.end() && at->first < to; ++at) {
    auto end = at->first + at->second.size();
    if (end <= from) continue;
    auto start = std::max(from, at->first);
    // Copied: the piece may change while the reader is waiting for what lies under it.
    std::string_view piece = at->second;
    patches.push_back({start, Bytes::copy(piece.substr(start - at->first, std::min(to, end) - start))});
  }
  return patches;
}

bool Unsent::covers(std::uint64_t from, std::uint64_t to) const {
  while (from < to) {
    auto reached = from;
    if (auto at = at_or_before(dirty_, from); at != dirty_.end() && at->first <= from)
      reached = std::max(reached, at->first + at->second.size());
    if (auto at = at_or_before(sealed_, from); at != sealed_.end() && at->first <= from)
      reached = std::max(reached, at->second.end());
    if (reached == from) return false;
    from = reached;
  }
  return true;
}

}  // namespace chordfs::fs
