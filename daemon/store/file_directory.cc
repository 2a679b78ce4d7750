#include "daemon/store/file_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

namespace chordfs {

namespace {

constexpr int kFolders = 256;
constexpr std::size_t kPiecesPerWrite = 64;
constexpr std::string_view kTemporaryPrefix = ".put-";

std::string folder_name(int number) {
  return fmt::format("{:02x}", number);
}

/// Writes all pieces at the file's end, however many calls that takes.
Result<void> write_all(int file, std::span<const Bytes> pieces, const std::string& path) {
  std::size_t piece = 0, done = 0;  // `done` bytes of pieces[piece] are written.
  while (piece < pieces.size()) {
    if (done == pieces[piece].size()) {
      ++piece;
      done = 0;
      continue;
    }
    std::vector<iovec> vectors;
    for (std::size_t i = piece; i < pieces.size() && vectors.size() < kPiecesPerWrite; ++i) {
      auto skip = i == piece ? done : 0;
      vectors.push_back({const_cast<char*>(pieces[i].data()) + skip, pieces[i].size() - skip});
    }
    auto written = ::writev(file, vectors.data(), static_cast<int>(vectors.size()));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return os_error(errno, "write " + path);
    for (auto left = static_cast<std::size_t>(written); left > 0;) {
      auto step = std::min(left, pieces[piece].size() - done);
      done += step;
      left -= step;
      if (left > 0) {
        ++piece;
        done = 0;
      }
    }
  }
  return {};
}

Result<void> sync_folder(const std::string& folder) {
  Descriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file.valid()) return os_error(errno, "open " + folder);
  if (::fsync(file.number()) != 0) return os_error(errno, "fsync " + folder);
  return {};
}

std::uint64_t size_or_zero(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

/// Calls `visit` for each entry of each folder.
Result<void> for_each_entry(const std::filesystem::path& root,
                            const std::function<Result<void>(const std::filesystem::directory_entry&)>& visit) {
  for (int number = 0; number < kFolders; ++number) {
    std::error_code error;
    auto folder = root / folder_name(number);
    std::filesystem::directory_iterator entry(folder, error), end;
    for (; !error && entry != end; entry.increment(error)) TRY_VOID(visit(*entry));
    if (error) return os_error(error.value(), "list " + folder.string());
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<FileDirectory>> FileDirectory::open(std::filesystem::path root) {
  std::unique_ptr<FileDirectory> self(new FileDirectory(std::move(root)));
  TRY_VOID(self->create_folders());
  TRY_VOID(self->count_and_sweep());
  return self;
}

std::string FileDirectory::folder_of(std::string_view name) const {
  // The last digits: a block's name begins with its arc's number, which is nearly the same for all.
  return root_.string() + "/" + std::string(name.substr(name.size() - 2));
}

std::string FileDirectory::path_of(std::string_view name) const {
  return folder_of(name) + "/" + std::string(name);
}

Result<void> FileDirectory::create_folders() {
  bool created = false;
  for (int number = 0; number < kFolders; ++number) {
    auto path = root_ / folder_name(number);
    if (::mkdir(path.c_str(), 0755) == 0)
      created = true;
    else if (errno != EEXIST)
      return os_error(errno, "create " + path.string());
  }
  if (created) TRY_VOID(sync_folder(root_.string()));
  return {};
}

Result<void> FileDirectory::count_and_sweep() {
  return for_each_entry(root_, [this](const std::filesystem::directory_entry& entry) -> Result<void> {
    auto path = entry.path().string();
    if (!entry.path().filename().string().starts_with(kTemporaryPrefix))
      bytes_ += size_or_zero(path);
    else if (::unlink(path.c_str()) != 0)
      return os_error(errno, "remove " + path);
    return {};
  });
}

Result<void> FileDirectory::put(std::string_view name, std::span<const Bytes> pieces) {
  auto folder = folder_of(name), path = path_of(name);
  auto temporary = fmt::format("{}/{}{}", folder, kTemporaryPrefix, next_temporary_++);
  bool named = false;
  Descriptor file(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644));
  if (!file.valid() && (errno == EOPNOTSUPP || errno == EISDIR)) {  // A file system without unnamed files.
    file = Descriptor(::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    named = file.valid();
  }
  if (!file.valid()) return os_error(errno, "create " + path);
  auto done = write_and_publish(file.number(), pieces, path, temporary, named);
  if (!done && named) ::unlink(temporary.c_str());
  if (!done) return done;
  return sync_folder(folder);
}

Result<void> FileDirectory::write_and_publish(int file, std::span<const Bytes> pieces, const std::string& path,
                                              const std::string& temporary, bool& named) {
  TRY_VOID(write_all(file, pieces, path));
  // Before it has its name: a crash must never leave a name with half the contents.
  if (::fdatasync(file) != 0) return os_error(errno, "fdatasync " + path);
  std::uint64_t size = 0;
  for (const auto& piece : pieces) size += piece.size();
  auto replaced = size_or_zero(path);
  if (!named) {
    // By /proc: AT_EMPTY_PATH needs a capability.
    auto source = fmt::format("/proc/self/fd/{}", file);
    auto link = [&](const std::string& to) {
      return ::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) == 0;
    };
    bool linked = link(path);
    if (!linked && errno != EEXIST) return os_error(errno, "link " + path);
    if (!linked && !link(temporary)) return os_error(errno, "link " + temporary);
    named = !linked;
  }
  if (named && ::rename(temporary.c_str(), path.c_str()) != 0) return os_error(errno, "rename " + temporary);
  bytes_ += size - replaced;
  return {};
}

Result<Bytes> FileDirectory::read(std::string_view name, std::uint64_t offset, std::size_t size) const {
  auto path = path_of(name);
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return {Errc::no_block, path};
  if (!file.valid()) return os_error(errno, "open " + path);
  struct stat status{};
  if (::fstat(file.number(), &status) != 0) return os_error(errno, "stat " + path);
  auto length = static_cast<std::uint64_t>(status.st_size);
  if (offset >= length) return Bytes();
  Buffer buffer(std::min<std::uint64_t>(size, length - offset));
  std::size_t done = 0;
  while (done < buffer.size()) {
    auto got = ::pread(file.number(), buffer.data() + done, buffer.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os_error(errno, "read " + path);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return std::move(buffer).freeze(done);
}

Result<void> FileDirectory::erase(std::string_view name) {
  auto path = path_of(name);
  auto before = size_or_zero(path);
  if (::unlink(path.c_str()) == 0)
    bytes_ -= before;
  else if (errno != ENOENT)
    return os_error(errno, "remove " + path);
  return {};
}

Result<std::vector<FileInfo>> FileDirectory::list() const {
  std::vector<FileInfo> files;
  TRY_VOID(for_each_entry(root_, [&](const std::filesystem::directory_entry& entry) -> Result<void> {
    auto name = entry.path().filename().string();
    if (!name.starts_with(kTemporaryPrefix)) files.push_back({std::move(name), size_or_zero(entry.path().string())});
    return {};
  }));
  return files;
}

}  // namespace chordfs
