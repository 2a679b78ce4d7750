#include "daemon/store/directory_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace chordfs {

namespace {
std::string holder(int file) {
  char text[32];
  auto size = ::pread(file, text, sizeof text, 0);
  std::string number;
  for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; ++i) number.push_back(text[i]);
  return number.empty() ? "unknown" : number;
}
}  // namespace

Result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& directory) {
  auto path = directory / "lock";
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.valid()) {
    auto error = os_error(errno, "open " + path.string());
    error.context +=
        ": chordfs-node must be able to write there; make it writable, or name another directory with --data";
    return error;
  }
  if (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return os_error(errno, "lock " + path.string());
    return {Errc::busy, fmt::format("data directory {} is in use by a running chordfs-node (pid {})",
                                    directory.string(), holder(file.number()))};
  }
  auto text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(file.number(), 0) != 0 || ::pwrite(file.number(), text.data(), text.size(), 0) < 0)
    return os_error(errno, "write " + path.string());
  return DirectoryLock(std::move(file));
}

}  // namespace chordfs
