#include "tools/cli/local_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "tools/cli/text.h"

namespace chordfs::cli {

namespace {
/// A pipe that is ready takes so much without waiting.
constexpr std::size_t kPipeBytes = 4096;

Errc code_of_errno(int number) {
  switch (number) {
    case ENOENT:
      return Errc::not_found;
    case EEXIST:
      return Errc::exists;
    case ENOSPC:
      return Errc::disk_full;
    case EISDIR:
      return Errc::is_directory;
    case EACCES:
    case EPERM:
      return Errc::not_permitted;
    default:
      return Errc::io_error;
  }
}

/// For waiting only; its own descriptor, so that ours stays as it is. Nothing if it is a file, which is always ready.
std::optional<asio::posix::stream_descriptor> waiter(Runtime& runtime, int fd) {
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return std::nullopt;
  asio::posix::stream_descriptor descriptor(runtime.executor());
  boost::system::error_code error;
  descriptor.assign(own, error);
  if (!error) return descriptor;
  close(own);
  return std::nullopt;
}

/// /dev/null and the like cannot be waited for: they are always ready.
awaitable<void> ready(asio::posix::stream_descriptor& pipe, asio::posix::stream_descriptor::wait_type what) {
  try {
    co_await pipe.async_wait(what, asio::use_awaitable);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
  }
}

bool all_zero(std::string_view bytes) {
  return !bytes.empty() && bytes.front() == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

timespec to_timespec(std::int64_t nanoseconds) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  auto rest = (nanoseconds % kSecond + kSecond) % kSecond;
  return {.tv_sec = (nanoseconds - rest) / kSecond, .tv_nsec = rest};
}
}  // namespace

Caller caller() {
  return {.uid = geteuid(), .gid = getegid()};
}

std::uint32_t umask_now() {
  auto mask = umask(0);
  umask(mask);
  return mask;
}

Error os_error(const std::string& path, int number) {
  return {code_of_errno(number), fmt::format("{}: {}", printable(path), std::generic_category().message(number))};
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

std::uint32_t mode_of(const struct stat& status) {
  return status.st_mode & 0777U & ~umask_now();
}

std::int64_t mtime_of(const struct stat& status) {
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

// ---- Reading ----

LocalSource::LocalSource(Runtime& runtime, std::string path, Descriptor file, const struct stat& status)
    : path_(std::move(path)), file_(std::move(file)), status_(status) {
  if (!regular()) pipe_ = waiter(runtime, file_.get());
}

Result<LocalSource> LocalSource::open(Runtime& runtime, const std::string& path) {
  // Without O_NONBLOCK, a FIFO that nobody writes to would hold us here, deaf to signals.
  bool standard = path == "-";
  Descriptor file(standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                           : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (file.get() < 0) return os_error(path, errno);
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return os_error(path, errno);
  if (S_ISDIR(status.st_mode)) return os_error(path, EISDIR);
  if (!standard && !S_ISREG(status.st_mode))
    return Error{Errc::not_supported,
                 printable(path) + ": not a regular file: put its contents by way of - (standard input)"};
  return LocalSource(runtime, path, std::move(file), status);
}

std::optional<std::uint64_t> LocalSource::size() const {
  if (!regular()) return std::nullopt;
  return static_cast<std::uint64_t>(status_.st_size);
}

void LocalSource::skip_hole() {
  auto data = lseek(file_.get(), static_cast<off_t>(offset_), SEEK_DATA);
  // ENXIO: a hole up to the end. Anything else: no such file system.
  if (data >= 0)
    offset_ = static_cast<std::uint64_t>(data);
  else if (errno == ENXIO && static_cast<std::uint64_t>(status_.st_size) > offset_)
    offset_ = static_cast<std::uint64_t>(status_.st_size);
}

awaitable<Result<std::optional<LocalSource::Piece>>> LocalSource::next() {
  Buffer buffer(kPieceBytes);
  if (regular()) skip_hole();
  ssize_t got = -1;
  do {
    if (pipe_) co_await ready(*pipe_, asio::posix::stream_descriptor::wait_read);
    got = regular() ? pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset_))
                    : ::read(file_.get(), buffer.data(), buffer.size());
  } while (got < 0 && (errno == EINTR || errno == EAGAIN));
  if (got < 0) co_return os_error(path_, errno);
  if (got == 0) co_return std::optional<Piece>();
  auto size = static_cast<std::size_t>(got);
  Piece piece{offset_, std::move(buffer).freeze(size)};
  offset_ += size;
  co_return std::optional(std::move(piece));
}

// ---- Writing ----

LocalOutput::LocalOutput(Runtime& runtime) {
  struct stat status{};
  std::fflush(stdout);
  if (fstat(STDOUT_FILENO, &status) == 0 && !S_ISREG(status.st_mode)) pipe_ = waiter(runtime, STDOUT_FILENO);
}

LocalOutput::~LocalOutput() = default;

Result<void> LocalOutput::write_some(std::string_view bytes) {
  while (!bytes.empty()) {
    auto written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      unwanted_ = errno == EPIPE;
      return os_error("standard output", errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

awaitable<Result<void>> LocalOutput::write(Bytes bytes) {
  if (!pipe_) co_return write_some(bytes.view());
  for (std::size_t done = 0; done < bytes.size(); done += kPipeBytes) {
    co_await ready(*pipe_, asio::posix::stream_descriptor::wait_write);
    CO_TRY_VOID(write_some(bytes.slice(done, kPipeBytes).view()));
  }
  co_return Result<void>();
}

LocalTarget::LocalTarget(std::string path, const wire::Attr& source, Descriptor file)
    : path_(std::move(path)), part_(path_ + ".part"), source_(source), file_(std::move(file)) {}

Result<LocalTarget> LocalTarget::create(const std::string& path, const wire::Attr& source, Part part) {
  auto name = path + ".part";
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (part == Part::fresh ? O_EXCL : 0);
  Descriptor file(::open(name.c_str(), flags, 0600));
  if (file.get() < 0 && errno == EEXIST)
    return Error{Errc::exists, printable(name) + " is there from another time: --resume goes on with it; or remove it"};
  if (file.get() < 0) return os_error(name, errno);
  LocalTarget target(path, source, std::move(file));
  struct stat status{};
  if (fstat(target.file_.get(), &status) != 0) return os_error(name, errno);
  auto there = static_cast<std::uint64_t>(status.st_size);
  if (mtime_of(status) == source.mtime() && there <= source.size())
    target.begins_at_ = target.done_ = there;
  else if (ftruncate(target.file_.get(), 0) != 0)
    return os_error(name, errno);
  return target;
}

Result<void> LocalTarget::write(std::uint64_t offset, const Bytes& bytes) {
  auto rest = bytes.view();
  done_ = offset + rest.size();
  if (all_zero(rest)) return {};
  while (!rest.empty()) {
    auto written = pwrite(file_.get(), rest.data(), rest.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return os_error(part_, errno);
    offset += static_cast<std::uint64_t>(written);
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> LocalTarget::finish() {
  timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_NOW}, to_timespec(source_.mtime())};
  bool done = ftruncate(file_.get(), static_cast<off_t>(done_)) == 0 &&
              fchmod(file_.get(), source_.mode() & 0777U & ~umask_now()) == 0 && futimens(file_.get(), times) == 0 &&
              fsync(file_.get()) == 0;
  if (!done) return os_error(part_, errno);
  if (std::rename(part_.c_str(), path_.c_str()) != 0) return os_error(path_, errno);
  return {};
}

void LocalTarget::remove() {
  unlink(part_.c_str());
}

void LocalTarget::keep() {
  // The source's time marks of which source it is; a part that cannot be marked is begun anew.
  timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_NOW}, to_timespec(source_.mtime())};
  if (ftruncate(file_.get(), static_cast<off_t>(done_)) == 0) std::ignore = futimens(file_.get(), times);
}

}  // namespace chordfs::cli
