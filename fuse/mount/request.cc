#include "fuse/mount/request.h"

#include <spdlog/spdlog.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "proto/wire/limits.h"

namespace chordfs::mount {

namespace {
constexpr std::uint64_t kUsageBlockBytes = 4096;
constexpr int kGroupsMax = 65536;  // NGROUPS_MAX
}  // namespace

Request::~Request() {
  if (request_) fuse_reply_err(take(), EIO);
}

Caller Request::caller() const {
  const auto* context = fuse_req_ctx(request_);
  return {context->uid, context->gid, context->umask};
}

bool Request::in_group(std::uint32_t gid) const {
  if (fuse_req_ctx(request_)->gid == gid) return true;
  std::vector<gid_t> groups(kGroupsMax);
  const int found = fuse_req_getgroups(request_, kGroupsMax, groups.data());
  if (found < 0) return false;
  groups.resize(static_cast<std::size_t>(std::min(found, kGroupsMax)));
  return std::ranges::find(groups, gid) != groups.end();
}

void Request::fail(const Error& error) {
  int number = errno_of(error.code);
  // What a program brought about itself is no news; that the ring could not serve is.
  auto level = number == EIO ? spdlog::level::warn : spdlog::level::debug;
  if (spdlog::should_log(level)) spdlog::log(level, "{}: {}", name_, error.text());
  finish(number);
}

void Request::finish(const Result<void>& result) {
  if (!result) return fail(result.error());
  finish();
}

void Request::entry(const Result<wire::Attr>& attr) {
  if (!attr) return fail(attr.error());
  auto entry = entry_of(*attr);
  fuse_reply_entry(take(), &entry);
}

void Request::attributes(const Result<wire::Attr>& attr) {
  if (!attr) return fail(attr.error());
  auto stat = stat_of(*attr);
  // Who asks for a file's attributes has it open, and others may write it.
  fuse_reply_attr(take(), &stat, attr->type() == wire::FILE_REGULAR ? 0 : kAttributeTimeoutSeconds);
}

void Request::link_target(const Result<std::string>& target) {
  if (!target) return fail(target.error());
  fuse_reply_readlink(take(), target->c_str());
}

void Request::created(const wire::Attr& attr, const fuse_file_info& info) {
  auto entry = entry_of(attr);
  fuse_reply_create(take(), &entry, &info);
}

void Request::usage(const Usage& usage) {
  struct statvfs out{};
  out.f_bsize = out.f_frsize = kUsageBlockBytes;
  out.f_blocks = usage.bytes_total / kUsageBlockBytes;
  out.f_bfree = out.f_bavail = usage.bytes_free / kUsageBlockBytes;
  // There is no table of inodes that could fill up: as many more as blocks are free.
  out.f_ffree = out.f_favail = out.f_bfree;
  out.f_files = usage.inodes + out.f_ffree;
  out.f_namemax = kNameBytesMax;
  fuse_reply_statfs(take(), &out);
}

void Request::lock(const std::optional<wire::FileLock>& lock) {
  auto out = flock_of(lock);
  fuse_reply_lock(take(), &out);
}

void Request::extended(std::string_view value, std::size_t room) {
  if (room == 0)
    fuse_reply_xattr(take(), value.size());
  else if (value.size() > room)
    finish(ERANGE);
  else
    data(value);
}

}  // namespace chordfs::mount
