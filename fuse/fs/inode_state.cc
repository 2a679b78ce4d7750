#include "fuse/fs/inode_state.h"

#include <algorithm>

namespace chordfs::fs {

void FileMap::forget() {
  record.reset();
  pieces.clear();
}

void FileMap::remember(std::uint64_t index, std::shared_ptr<const MapPiece> piece) {
  layout = piece->record ? Layout::in_record : Layout::in_blocks;
  record = piece->record;
  if (record) return;
  if (pieces.size() >= kMapPiecesMax) pieces.clear();
  pieces.insert_or_assign(index, std::move(piece));
}

void add_to(MapPiece& piece, wire::QueryAnswer answer) {
  if (answer.has_inline())
    piece.record = std::make_shared<const std::string>(std::move(*answer.mutable_inode()->mutable_inline_data()));
  for (auto& extent : *answer.mutable_extents()) {
    piece.used[extent.block()] += extent.length();
    piece.extents.push_back(std::move(extent));
  }
}

void InodeState::saw(const wire::Attr& seen) {
  if (seen.version() < attr.version()) return;
  bool changed = seen.version() != attr.version();
  attr = seen;
  if (!changed) return;
  map.forget();
  if (attr.allocated() == 0) {
    map.layout = Layout::in_record;
    map.record = std::make_shared<const std::string>();
  } else if (attr.allocated() > kInlineBytesMax) {
    map.layout = Layout::in_blocks;
  }
}

wire::Attr InodeState::shown(wire::Attr seen) const {
  if (unsent.empty()) return seen;
  seen.set_size(std::max(seen.size(), unsent.end()));
  seen.set_mtime(std::max(seen.mtime(), written_at));
  seen.set_ctime(std::max(seen.ctime(), written_at));
  // Programs take a file without allocated bytes for one hole, and do not read it.
  seen.set_allocated(seen.allocated() + unsent.bytes());
  return seen;
}

void InodeState::failed(Error why) {
  error = std::move(why);
  ++errors;
}

void InodeState::forget_layout() {
  map.forget();
  map.layout = Layout::unknown;
}

}  // namespace chordfs::fs
