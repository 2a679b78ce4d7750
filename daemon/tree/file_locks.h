#pragma once
// Locks that programs have on files (fcntl, flock), each held by an owner of a session. They are records beside the
// inode, so that "the new holder has it" comes after "the old one's session is fenced" in the one log that its data go
// through as well. Nobody waits in the tree: what conflicts is answered `would_block`.
// (Locks of transactions are something else: locks.h.)
//
// Pure functions over records; any thread.
// Errors: would_block; no_locks over kFileLocksMax on one inode; invalid for what is no lock.

#include <cstdint>
#include <string_view>
#include <vector>

#include "daemon/tree/outcome.h"
#include "daemon/tree/state.h"

namespace chordfs::tree {

inline constexpr std::size_t kFileLocksMax = 16384;  ///< Of one kind on one inode: each is looked at by every lock.
inline constexpr int kBlockersToldMax = 16;
inline constexpr std::uint64_t kLockEndMax = (std::uint64_t{1} << 63) - 1;  ///< OFFSET_MAX

/// Of one kind on one inode: may both not be held?
bool conflict(const wire::FileLock& held, const wire::FileLock& wanted);
/// Which locks conflict with `wanted`, of any owner but its own (wanted.session, wanted.owner); kBlockersToldMax.
std::vector<wire::FileLock> blockers(const Records& records, std::uint64_t ino, const wire::FileLock& wanted);

Outcome set_file_lock(MutableRecords& records, std::uint64_t session, const wire::SetLock& step);

/// The session has ended: all that it holds in this arc.
void drop_file_locks_of_session(MutableRecords& records, std::uint64_t session);
/// The inode is no more.
void drop_file_locks_of_inode(MutableRecords& records, std::uint64_t ino);

/// What stands in F, from its key and value.
wire::FileLock decode_file_lock(std::string_view key, std::string_view value);
bool is_file_lock(std::string_view key, std::string_view value);

}  // namespace chordfs::tree
