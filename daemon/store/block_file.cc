#include "daemon/store/block_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace chordfs {

namespace {

constexpr std::uint32_t kBlockMagic = 0x4368426c;  // "ChBl"
constexpr std::uint16_t kBlockFormatVersion = 2;   // 1: identifiers of 16 bytes.
constexpr std::size_t kFixedBytes = 48;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Error corrupt(const BlockName& name, const std::string& why) {
  return {Errc::corrupt, fmt::format("block {} of arc {}, file {}: {}", hex(name.id), name.arc, name.file(), why)};
}

}  // namespace

std::string BlockName::file() const {
  std::string bytes;
  append_u32(bytes, arc);
  return hex(bytes + id);
}

std::optional<BlockName> BlockName::parse(std::string_view file) {
  if (file.size() != 2 * (4 + kBlockIdBytes)) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < file.size(); i += 2) {
    int high = digit(file[i]), low = digit(file[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return BlockName{read_u32(bytes), bytes.substr(4)};
}

std::string BlockHeader::encode(const BlockName& name, std::string_view contents, std::uint32_t crc) {
  std::string out;
  out.reserve(block_header_bytes(contents.size()));
  append_u32(out, kBlockMagic);
  append_u16(out, kBlockFormatVersion);
  append_u16(out, 0);
  append_u32(out, name.arc);
  out += name.id;
  append_u32(out, static_cast<std::uint32_t>(contents.size()));
  append_u32(out, kPieceBytes);
  append_u32(out, crc);
  for (std::size_t at = 0; at < contents.size(); at += kPieceBytes)
    append_u32(out, crc32c(contents.substr(at, kPieceBytes)));
  append_u32(out, crc32c(out));
  return out;
}

Result<BlockHeader> BlockHeader::decode(const BlockName& name, std::string_view beginning) {
  if (beginning.size() < block_header_bytes(0)) return corrupt(name, "cut within its header");
  if (read_u32(beginning) != kBlockMagic) return corrupt(name, "not a block file");
  if (auto version = read_u16(beginning.substr(4)); version != kBlockFormatVersion)
    return corrupt(name, fmt::format("format version {}, expected {}", version, kBlockFormatVersion));
  BlockHeader header;
  header.length = read_u32(beginning.substr(36));
  if (header.length > kBlockBytesMax) return corrupt(name, "header damaged");
  auto size = block_header_bytes(header.length);
  if (beginning.size() < size) return corrupt(name, "cut within its header");
  if (read_u32(beginning.substr(size - 4)) != crc32c(beginning.substr(0, size - 4)))
    return corrupt(name, "header damaged");
  if (read_u32(beginning.substr(8)) != name.arc || beginning.substr(12, kBlockIdBytes) != name.id)
    return corrupt(name, fmt::format("holds block {} of arc {}", hex(beginning.substr(12, kBlockIdBytes)),
                                     read_u32(beginning.substr(8))));
  if (read_u32(beginning.substr(40)) != kPieceBytes) return corrupt(name, "unknown piece size");
  header.crc = read_u32(beginning.substr(44));
  for (auto at = kFixedBytes; at < size - 4; at += 4) header.piece_crcs.push_back(read_u32(beginning.substr(at)));
  return header;
}

std::optional<std::uint32_t> block_length_of_file(std::uint64_t size) {
  if (size < block_header_bytes(0) || size > kBlockHeaderBytesMax + kBlockBytesMax) return std::nullopt;
  auto pieces = (size - block_header_bytes(0) + kPieceBytes + 3) / (kPieceBytes + 4);
  auto length = size - block_header_bytes(0) - pieces * 4;
  if (length > kBlockBytesMax || block_header_bytes(length) + length != size) return std::nullopt;
  return static_cast<std::uint32_t>(length);
}

PieceRange pieces_around(std::uint32_t block_length, std::uint32_t offset, std::uint32_t length) {
  std::size_t first = std::min<std::size_t>(offset, block_length);
  std::size_t last = std::min<std::size_t>(std::size_t{offset} + length, block_length);
  if (first == last) return {};
  auto end = (last + kPieceBytes - 1) / kPieceBytes * kPieceBytes;
  return {first / kPieceBytes * kPieceBytes, std::min<std::size_t>(end, block_length)};
}

Result<void> verify_pieces(const BlockName& name, const BlockHeader& header, PieceRange range, std::string_view data) {
  for (auto at = range.begin; at < range.end; at += kPieceBytes) {
    auto size = std::min(kPieceBytes, range.end - at);
    auto piece = at - range.begin < data.size() ? data.substr(at - range.begin, size) : std::string_view();
    if (piece.size() < size)
      return corrupt(name, fmt::format("cut at byte {} of {}", at + piece.size(), header.length));
    if (crc32c(piece) != header.piece_crcs[at / kPieceBytes])
      return corrupt(name, fmt::format("bytes [{}, {}) do not match their checksum", at, at + size));
  }
  return {};
}

}  // namespace chordfs
