#pragma once
// Request: one call of the kernel that is owed exactly one reply. Whoever drops it unanswered (a cancelled coroutine)
// answers EIO, so that no program waits for ever.
// Owner: the coroutine that serves it. Thread: any; replies are one write to the device.

#include <optional>
#include <string_view>
#include <utility>

#include "fuse/fs/filesystem.h"
#include "fuse/mount/attributes.h"
#include "fuse/mount/libfuse.h"
#include "proto/base/bytes.h"
#include "proto/base/result.h"

namespace chordfs::mount {

class Request {
 public:
  /// `name`: a string literal, for logs.
  Request(fuse_req_t request, const char* name) : request_(request), name_(name) {}
  Request(Request&& other) noexcept : request_(std::exchange(other.request_, nullptr)), name_(other.name_) {}
  ~Request();

  const char* name() const { return name_; }
  Caller caller() const;
  /// Is it one of the caller's groups, as the kernel tells of the process?
  bool in_group(std::uint32_t gid) const;

  // Each of these is the one reply. The kernel may have given the call up (a signal): nobody minds.
  void fail(const Error& error);
  /// 0: it is done.
  void finish(int number = 0) { fuse_reply_err(take(), number); }
  /// Success, or the error.
  void finish(const Result<void>& result);
  void entry(const Result<wire::Attr>& attr);
  void attributes(const Result<wire::Attr>& attr);
  void link_target(const Result<std::string>& target);
  void opened(const fuse_file_info& info) { fuse_reply_open(take(), &info); }
  void created(const wire::Attr& attr, const fuse_file_info& info);
  void data(std::string_view bytes) { fuse_reply_buf(take(), bytes.data(), bytes.size()); }
  void written(std::size_t size) { fuse_reply_write(take(), size); }
  void offset(std::uint64_t offset) { fuse_reply_lseek(take(), static_cast<off_t>(offset)); }
  void ioctl(std::string_view answer) { fuse_reply_ioctl(take(), 0, answer.data(), answer.size()); }
  void usage(const Usage& usage);
  /// F_GETLK: the lock that is in the way, or that none is.
  void lock(const std::optional<wire::FileLock>& lock);
  /// An extended attribute or a list of them: `room` 0 asks for the size only.
  void extended(std::string_view value, std::size_t room);

 private:
  friend class Interruptible;
  fuse_req_t take() { return std::exchange(request_, nullptr); }

  fuse_req_t request_;
  const char* name_;
};

}  // namespace chordfs::mount
