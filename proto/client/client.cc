#include "proto/client/client.h"

#include "proto/wire/block_id.h"
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

std::string Client::new_block(std::uint64_t ino) {
  return block_id(ino, last_session(), ++blocks_made_);
}

bool Client::may_name(std::string_view block) const {
  return session_of_block(block) == last_session();
}

}  // namespace chordfs
