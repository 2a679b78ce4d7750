#pragma once
// Keys of an arc's records: one letter, then numbers in big-endian order, so that the order of keys is the order that
// scans need. The table of all keys is in README.md. Pure; any thread.

#include <cstdint>
#include <string>
#include <string_view>

namespace chordfs::tree {

/// Keys in [from, to).
struct KeyRange {
  std::string from;
  std::string to;
};

/// Every key that begins with `prefix`.
KeyRange keys_with_prefix(std::string prefix);

// ---- Names and the order of a listing ----

/// Cookies 0 to 15 are free for "." and "..", and for whatever else a mount wants to list first.
inline constexpr std::uint64_t kCookieFirst = 16;
/// Cookies have 63 bits, because off_t is signed. The few hashes above this (16 of 2^63) are cut down to it: they
/// collide, which costs nothing, since colliding names are told apart by the name that follows the hash in the key.
inline constexpr std::uint64_t kNameHashMax = (std::uint64_t{1} << 63) - 1 - kCookieFirst;

/// The upper 63 bits of SHA-256 of the name, at most kNameHashMax.
std::uint64_t name_hash(std::string_view name);
inline std::uint64_t cookie_of(std::uint64_t hash) {
  return hash + kCookieFirst;
}
/// The lowest hash whose cookie is above `cookie`.
inline std::uint64_t hash_after(std::uint64_t cookie) {
  return cookie < kCookieFirst ? 0 : cookie - kCookieFirst + 1;
}

// ---- Keys ----

std::string inode_key(std::uint64_t ino);
std::string entry_key(std::uint64_t dir, std::string_view name);
/// Entries of `dir` from this hash on.
std::string entry_key_from(std::uint64_t dir, std::uint64_t hash);
KeyRange entry_keys(std::uint64_t dir);
/// An extent's key is where it ends, so that the first key above x is the first extent that reaches beyond x.
std::string extent_key(std::uint64_t ino, std::uint64_t end);
/// A block's identifier begins with its inode.
std::string block_key(std::string_view block);
std::string outbox_key(std::uint64_t seq);
std::string orphan_key(std::uint64_t ino);
/// What a session did here: the header, and below it one record per remembered answer.
std::string session_key(std::uint64_t session);
std::string answer_key(std::uint64_t session, std::uint64_t seq);
std::string open_session_key(std::uint64_t session);
std::string session_counter_key();
std::string coordinated_key(std::uint64_t index);
std::string prepared_key(std::uint32_t arc, std::uint64_t index);
std::string entry_lock_key(std::uint64_t dir, std::string_view name);
std::string entry_lock_key_from(std::uint64_t dir, std::uint64_t hash);
KeyRange entry_lock_keys(std::uint64_t dir);
std::string inode_lock_key(std::uint64_t ino);
std::string dirmove_lock_key();
/// A program's lock; all of one kind on an inode, or of a session there.
std::string file_lock_key(std::uint64_t ino, int kind, std::uint64_t session, std::uint64_t owner, std::uint64_t start);
std::string file_locks_key(std::uint64_t ino, int kind);
std::string file_locks_key(std::uint64_t ino, int kind, std::uint64_t session);
/// The session has locks on the inode.
std::string locking_session_key(std::uint64_t session, std::uint64_t ino);
std::string locking_session_key(std::uint64_t session);
/// The session is the inode's writer.
std::string writing_session_key(std::uint64_t session, std::uint64_t ino);
std::string writing_session_key(std::uint64_t session);
std::string low_water_key(std::uint32_t arc);
std::string usage_key();

// ---- And back. Each takes a key that the function above of the same kind has made. ----

std::uint64_t number_in(std::string_view key);  ///< The first number: an ino, a seq, a session, an index.
struct EntryName {
  std::uint64_t hash;
  std::string_view name;
};
EntryName entry_name_in(std::string_view key);
std::uint64_t extent_end_in(std::string_view key);

}  // namespace chordfs::tree
