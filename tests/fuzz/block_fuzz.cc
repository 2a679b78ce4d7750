// A block's file as a disk gives it back: the header, the pieces, the name. What is damaged is named and never served.
#include "daemon/store/block_file.h"
#include "proto/base/check.h"
#include "tests/fuzz/cuts.h"
#include "tests/fuzz/quiet.h"

namespace chordfs {
namespace {

/// Reads [offset, offset + length) of the file as BlockStore does; what is verified must be what was written.
void read(const BlockName& name, std::string_view file, std::uint32_t offset, std::uint32_t length,
          std::string_view original) {
  std::ignore = block_length_of_file(file.size());
  auto header = BlockHeader::decode(name, file);
  if (!header) {
    CHECK(header.code() == Errc::corrupt);
    return;
  }
  CHECK(header->length <= kBlockBytesMax);
  const auto range = pieces_around(header->length, offset, length);
  CHECK(range.begin <= range.end && range.end <= header->length);
  const auto begin = block_header_bytes(header->length) + range.begin;
  const auto data = begin < file.size() ? file.substr(begin, range.end - range.begin) : std::string_view();
  if (!verify_pieces(name, *header, range, data)) return;
  if (header->crc == crc32c(original)) CHECK(data == original.substr(range.begin, data.size()));
}

void damage(std::string& file, fuzz::Cuts& input) {
  while (!input.empty()) {
    const auto what = input.byte();
    const auto at = (std::size_t{input.byte()} << 8 | input.byte()) % (file.size() + 1);
    const auto with = input.text();
    if (what % 3 == 0) file.resize(at);
    if (what % 3 == 1) file.replace(at, std::min(with.size(), file.size() - at), with);
    if (what % 3 == 2) file.insert(at, with);
  }
}

}  // namespace
}  // namespace chordfs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace chordfs;
  fuzz::be_quiet();
  fuzz::Cuts input(data, size);
  const bool whole = input.byte() & 1;
  const std::uint32_t offset = input.byte() * 301U, length = input.byte() * 301U;
  const BlockName name{7, std::string(kBlockIdBytes, 'b')};
  if (auto parsed = BlockName::parse(input.text())) CHECK(BlockName::parse(parsed->file())->id == parsed->id);
  const std::string contents(std::size_t{input.byte()} * 311, 'c');
  std::string file(input.text());
  if (whole) {
    file = BlockHeader::encode(name, contents, crc32c(contents)) + contents;
    damage(file, input);
  }
  read(name, file, offset, length, contents);
  read(name, file, 0, kBlockBytesMax, contents);
  return 0;
}
