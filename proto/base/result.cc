#include "proto/base/result.h"

#include <cerrno>

namespace chordfs {

namespace {
struct Row {
  std::string_view name;
  int number;
};

Row row_of(Errc code) {
  switch (code) {
    case Errc::ok:
      return {"ok", 0};
    case Errc::unreachable:
      return {"unreachable", EIO};
    case Errc::timed_out:
      return {"timed_out", EIO};
    case Errc::cancelled:
      return {"cancelled", EINTR};
    case Errc::busy:
      return {"busy", EAGAIN};
    case Errc::bad_message:
      return {"bad_message", EPROTO};
    case Errc::wrong_ring:
      return {"wrong_ring", EIO};
    case Errc::wrong_version:
      return {"wrong_version", EPROTONOSUPPORT};
    case Errc::not_owner:
      return {"not_owner", EIO};
    case Errc::unavailable:
      return {"unavailable", EIO};
    case Errc::io_error:
      return {"io_error", EIO};
    case Errc::disk_full:
      return {"disk_full", ENOSPC};
    case Errc::corrupt:
      return {"corrupt", EIO};
    case Errc::no_block:
      return {"no_block", EIO};
    case Errc::not_found:
      return {"not_found", ENOENT};
    case Errc::exists:
      return {"exists", EEXIST};
    case Errc::not_directory:
      return {"not_directory", ENOTDIR};
    case Errc::is_directory:
      return {"is_directory", EISDIR};
    case Errc::not_empty:
      return {"not_empty", ENOTEMPTY};
    case Errc::name_too_long:
      return {"name_too_long", ENAMETOOLONG};
    case Errc::invalid:
      return {"invalid", EINVAL};
    case Errc::no_attribute:
      return {"no_attribute", ENODATA};
    case Errc::too_many_links:
      return {"too_many_links", EMLINK};
    case Errc::file_too_large:
      return {"file_too_large", EFBIG};
    case Errc::not_permitted:
      return {"not_permitted", EPERM};
    case Errc::not_supported:
      return {"not_supported", EOPNOTSUPP};
    case Errc::too_big:
      return {"too_big", E2BIG};
    case Errc::out_of_range:
      return {"out_of_range", ERANGE};
    case Errc::bad_handle:
      return {"bad_handle", ESTALE};
    case Errc::would_block:
      return {"would_block", EAGAIN};
    case Errc::deadlock:
      return {"deadlock", EDEADLK};
    case Errc::interrupted:
      return {"interrupted", EINTR};
    case Errc::no_locks:
      return {"no_locks", ENOLCK};
    case Errc::stale:
      return {"stale", EIO};
    case Errc::session_closed:
      return {"session_closed", EIO};
    case Errc::locked:
      return {"locked", EIO};
    case Errc::being_written:
      return {"being_written", EIO};
    case Errc::overtaken:
      return {"overtaken", EIO};
  }
  return {"unknown", EIO};  // A number from a newer peer.
}
}  // namespace

std::string_view name_of(Errc code) {
  return row_of(code).name;
}
int errno_of(Errc code) {
  return row_of(code).number;
}

std::string Error::text() const {
  std::string line(name_of(code));
  if (!context.empty()) line.append(": ").append(context);
  return line;
}

}  // namespace chordfs
