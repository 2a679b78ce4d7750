#include "daemon/store/data_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

#include "daemon/store/os_error.h"

namespace chordfs {

namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 3;  // 1: arcs without replicas. 2: blocks named at random.
constexpr std::string_view kMarker = "format";
constexpr std::string_view kTemporary = "format.new";
constexpr std::string_view kFirstWords = "ChordFS data directory, format ";
/// What a start that was cut short, or a version without markers, may have left; lost+found is a file system's own.
constexpr std::array<std::string_view, 6> kOwnNames = {"lock",   "records",    "records.synced",
                                                       "blocks", "lost+found", kTemporary};

std::string marker_text() {
  return fmt::format("{}{}\n", kFirstWords, kFormat);
}

/// The format by the marker; nothing if the text is no marker.
std::optional<int> format_in(std::string_view text) {
  if (!text.starts_with(kFirstWords) || !text.ends_with('\n')) return std::nullopt;
  text.remove_prefix(kFirstWords.size());
  text.remove_suffix(1);
  int format = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), format);
  if (error != std::errc() || end != text.data() + text.size() || format < 1) return std::nullopt;
  return format;
}

bool has_records(const fs::path& directory) {
  std::error_code ignored;
  return fs::exists(directory / "records" / "CURRENT", ignored);
}

Result<DirectoryState> check_marker(const fs::path& directory) {
  auto path = directory / kMarker;
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf()))
    return {Errc::corrupt, fmt::format("{} is damaged: it cannot be read or is "
                                       "empty",
                                       path.string())};
  auto format = format_in(text.str());
  if (!format)
    return {Errc::corrupt,
            fmt::format("{} is damaged, or {} is not a ChordFS data directory: name another with --data, "
                        "or mend the file, which reads '{}{}'",
                        path.string(), directory.string(), kFirstWords, kFormat)};
  if (*format > kFormat)
    return {Errc::wrong_version, fmt::format("data directory {} has format {}, this chordfs-node ({}) knows formats up "
                                             "to {}: start it with the newer version that made it",
                                             directory.string(), *format, CHORDFS_VERSION, kFormat)};
  if (*format < kFormat)
    return {Errc::wrong_version, fmt::format("data directory {} has format {}, of an earlier version, and this "
                                             "chordfs-node ({}) reads format {} only: copy the files out with the "
                                             "version that made it",
                                             directory.string(), *format, CHORDFS_VERSION, kFormat)};
  if (!has_records(directory))
    return {Errc::corrupt, fmt::format("data directory {} is damaged: {}/records/CURRENT is missing; restore the "
                                       "directory, or remove it to start as a new node",
                                       directory.string(), directory.string())};
  return DirectoryState::marked;
}

Result<void> write_durably(const fs::path& path, std::string_view text) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return os_error(errno, "create " + path.string());
  auto written = ::write(file.number(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size()))
    return os_error(written < 0 ? errno : ENOSPC, "write " + path.string());
  if (::fsync(file.number()) != 0) return os_error(errno, "fsync " + path.string());
  return {};
}

}  // namespace

Result<DirectoryState> look_at_data_directory(const fs::path& directory) {
  std::error_code error;
  auto status = fs::status(directory, error);
  if (status.type() == fs::file_type::not_found) return DirectoryState::fresh;
  if (error) return os_error(error.value(), "data directory " + directory.string());
  if (status.type() != fs::file_type::directory)
    return {Errc::io_error,
            fmt::format("data directory {} is not a directory: name one with --data", directory.string())};
  fs::directory_iterator entry(directory, error), end;
  std::optional<std::string> foreign;
  for (; !error && entry != end; entry.increment(error)) {
    auto name = entry->path().filename().string();
    if (name == kMarker) return check_marker(directory);
    if (std::ranges::find(kOwnNames, name) == kOwnNames.end()) foreign = name;
  }
  if (error) return os_error(error.value(), "list data directory " + directory.string());
  if (has_records(directory)) return DirectoryState::unmarked;
  if (foreign)
    return {Errc::not_permitted,
            fmt::format("{} is not a ChordFS data directory and not empty (it holds '{}'): name an "
                        "empty or a new directory with --data",
                        directory.string(), *foreign)};
  return DirectoryState::fresh;
}

Result<void> mark_data_directory(const fs::path& directory) {
  auto temporary = directory / kTemporary;
  TRY_VOID(write_durably(temporary, marker_text()));
  if (::rename(temporary.c_str(), (directory / kMarker).c_str()) != 0)
    return os_error(errno, "rename " + temporary.string());
  Descriptor folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::fsync(folder.number()) != 0) return os_error(errno, "fsync " + directory.string());
  return {};
}

std::string boot_of_the_machine() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  std::getline(file, boot);
  return boot;
}

}  // namespace chordfs
