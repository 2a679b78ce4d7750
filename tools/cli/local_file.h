#pragma once
// LocalFile: files and pipes of this machine, read and written without keeping the event loop waiting for a pipe.
// Owner: a subcommand. Thread: main's. Errors: io_error, not_found and so on with "PATH: reason" as context.

#include <sys/stat.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <optional>
#include <string>

#include "fuse/fs/filesystem.h"
#include "proto/base/bytes.h"

namespace chordfs::cli {

inline constexpr std::size_t kPieceBytes = 1U << 20;

/// What new objects belong to, and may not be open to.
Caller caller();
std::uint32_t umask_now();

Error os_error(const std::string& path, int number);

/// A descriptor, closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

/// A file to read from start to end, holes left out; "-" is standard input.
class LocalSource {
 public:
  struct Piece {
    std::uint64_t offset = 0;
    Bytes bytes;
  };

  static Result<LocalSource> open(Runtime& runtime, const std::string& path);

  const struct stat& status() const { return status_; }
  /// Nothing for a pipe.
  std::optional<std::uint64_t> size() const;
  /// The next bytes; nothing at the end. Then end() is the size of it all.
  awaitable<Result<std::optional<Piece>>> next();
  std::uint64_t end() const { return offset_; }

 private:
  LocalSource(Runtime& runtime, std::string path, Descriptor file, const struct stat& status);
  bool regular() const { return S_ISREG(status_.st_mode); }
  void skip_hole();

  std::string path_;
  Descriptor file_;
  struct stat status_;
  std::uint64_t offset_ = 0;
  std::optional<asio::posix::stream_descriptor> pipe_;
};

/// Standard output.
class LocalOutput {
 public:
  explicit LocalOutput(Runtime& runtime);
  ~LocalOutput();
  LocalOutput(const LocalOutput&) = delete;
  awaitable<Result<void>> write(Bytes bytes);
  /// Whoever read it wants no more: no reason to complain.
  bool unwanted() const { return unwanted_; }

 private:
  Result<void> write_some(std::string_view bytes);

  std::optional<asio::posix::stream_descriptor> pipe_;
  bool unwanted_ = false;
};

/// A file that is written beside its place, and put there when it is whole.
class LocalTarget {
 public:
  enum class Part { fresh, resumed };

  /// Creates `path`.part. resumed: goes on with one that is there, if it is of the same source.
  static Result<LocalTarget> create(const std::string& path, const wire::Attr& source, Part part);

  std::uint64_t begins_at() const { return begins_at_; }
  /// Whole pieces of zeros become holes.
  Result<void> write(std::uint64_t offset, const Bytes& bytes);
  /// Durable, with mode and time of the source, under its name.
  Result<void> finish();
  /// The part goes.
  void remove();
  /// The part stays and says of which source it is.
  void keep();
  const std::string& part() const { return part_; }

 private:
  LocalTarget(std::string path, const wire::Attr& source, Descriptor file);

  std::string path_, part_;
  wire::Attr source_;
  Descriptor file_;
  std::uint64_t begins_at_ = 0;
  std::uint64_t done_ = 0;
};

/// Of a file of this machine: mode bits without set-id, and without what the umask takes.
std::uint32_t mode_of(const struct stat& status);
std::int64_t mtime_of(const struct stat& status);

}  // namespace chordfs::cli
