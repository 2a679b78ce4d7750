#pragma once
// Result<T>: what every call that can fail as a matter of course returns. Exceptions are for start-up, bad_alloc and
// cancellation only. Error codes are one enumeration for the whole project, because they cross the wire.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace chordfs {

/// Every way in which a call may fail. Each says: who raises it · may the operation have happened · what to do.
/// The numbers are on the wire (proto/wire/FORMAT.md): never reuse one.
enum class Errc : std::uint16_t {
  ok = 0,  ///< Only inside messages; never in an Error.

  // Reaching a node, and being understood by it.
  unreachable = 1,  ///< transport: no connection · did not happen · try another node
  timed_out = 2,    ///< transport, client: no answer in time · UNKNOWN · retry under the same identity
  cancelled = 3,    ///< anyone: this process is stopping · unknown · give up quietly
  busy = 4,         ///< a queue is full, a lock is held, a state is in flux · did not happen · retry after a pause
  bad_message = 5,  ///< wire: malformed, of another version, or over a cap · did not happen · a bug or no ChordFS node
  wrong_ring = 6,   ///< node: the caller belongs to another ring · did not happen · check the address
  wrong_version = 7,  ///< node: no common protocol version · did not happen · upgrade the older side
  not_owner = 8,      ///< arc: this node does not lead the arc · did not happen · follow the hint or look the arc up
  unavailable = 9,    ///< client: no holder of the arc answered within the deadline · UNKNOWN · EIO for the program

  // This node's disk.
  io_error = 20,   ///< disk: read or write failed · unknown · the node stops serving what it concerns
  disk_full = 21,  ///< disk: no space · did not happen · free space or add nodes
  corrupt = 22,    ///< store: a checksum did not match · did not happen · read another copy
  no_block = 23,   ///< arc: this node has no such block · did not happen · re-read the map, then another member

  // The tree, as a program sees them.
  not_found = 40,       ///< ENOENT
  exists = 41,          ///< EEXIST
  not_directory = 42,   ///< ENOTDIR
  is_directory = 43,    ///< EISDIR
  not_empty = 44,       ///< ENOTEMPTY
  name_too_long = 45,   ///< ENAMETOOLONG
  invalid = 46,         ///< EINVAL
  no_attribute = 47,    ///< ENODATA: no such extended attribute
  too_many_links = 48,  ///< EMLINK
  file_too_large = 49,  ///< EFBIG
  not_permitted = 50,   ///< EPERM
  not_supported = 51,   ///< EOPNOTSUPP
  too_big = 52,         ///< E2BIG, ENOSPC for attributes: value over the cap
  out_of_range = 53,    ///< ERANGE: buffer too small
  bad_handle = 54,      ///< EBADF, ESTALE: the inode is gone
  would_block = 55,     ///< EAGAIN: a lock of somebody else is in the way
  deadlock = 56,        ///< EDEADLK: whoever holds the lock waits for one of the asker's own
  interrupted = 57,     ///< EINTR: the program was sent a signal while it waited
  no_locks = 58,        ///< ENOLCK: too many locks on one file

  // Between client and tree; programs never see these.
  stale = 60,           ///< tree: what the caller expected is no longer so · did not happen · read again, plan again
  session_closed = 61,  ///< tree: the session has expired · did not happen · EIO; open a new session
  locked = 62,          ///< tree: a transaction holds what is touched · did not happen · wait for it, then again
  being_written = 63,   ///< tree: another session writes it · did not happen · have it commit what it has, then again
  overtaken = 64,       ///< tree: what was to be committed is older than what others wrote · did not happen · EIO
};

/// Short stable name for logs and JSON: "timed_out".
std::string_view name_of(Errc code);
/// The errno a program gets. Total over Errc (a switch without default).
int errno_of(Errc code);

struct Error {
  Errc code = Errc::ok;
  std::string context;  ///< One line: what was attempted, on what, and (if it can be said) what to do.

  /// "timed_out: put block 3f2a to 127.0.0.1:6001"
  std::string text() const;
};

template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Errc code, std::string context) : std::expected<T, Error>(std::unexpect, Error{code, std::move(context)}) {}
  Result(Error error) : std::expected<T, Error>(std::unexpect, std::move(error)) {}

  Errc code() const { return this->has_value() ? Errc::ok : this->error().code; }
};

}  // namespace chordfs

#define CHORDFS_JOIN_(a, b) a##b
#define CHORDFS_JOIN(a, b) CHORDFS_JOIN_(a, b)

/// TRY(auto x, f()): x is f's value, or this function returns f's error. CO_TRY: the same inside a coroutine.
#define TRY(declaration, expression)                                                         \
  auto CHORDFS_JOIN(try_, __LINE__) = (expression);                                          \
  if (!CHORDFS_JOIN(try_, __LINE__)) return std::move(CHORDFS_JOIN(try_, __LINE__)).error(); \
  declaration = *std::move(CHORDFS_JOIN(try_, __LINE__))
#define CO_TRY(declaration, expression)                                                         \
  auto CHORDFS_JOIN(try_, __LINE__) = (expression);                                             \
  if (!CHORDFS_JOIN(try_, __LINE__)) co_return std::move(CHORDFS_JOIN(try_, __LINE__)).error(); \
  declaration = *std::move(CHORDFS_JOIN(try_, __LINE__))
/// The same for Result<void>, or where the value is not wanted.
#define TRY_VOID(expression) \
  if (auto try_result = (expression); !try_result) return std::move(try_result).error()
#define CO_TRY_VOID(expression) \
  if (auto try_result = (expression); !try_result) co_return std::move(try_result).error()
