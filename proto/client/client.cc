#include "proto/client/client.h"

#include "proto/wire/limits.h"

namespace chordfs {

std::uint64_t Client::new_ino(ArcNumber arc) {
  int bits = arcs().bits();
  for (;;) {
    std::uint64_t unique = bits == 0 ? runtime().random() : runtime().random() >> bits;
    std::uint64_t ino = unique | (bits == 0 ? 0 : std::uint64_t{arc} << (64 - bits));
    if (unique > kRootIno) return ino;
  }
}

std::string Client::new_block() {
  std::string block;
  append_u64(block, runtime().random());
  append_u64(block, runtime().random());
  return block;
}

}  // namespace chordfs
