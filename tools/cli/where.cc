#include "tools/cli/where.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace chordfs::cli {

namespace {
struct Mount {
  std::string root;
  std::string via;
};

/// "\040" and the like, as proc(5) writes spaces.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

/// Mounted rings: fields of /proc/self/mounts are source, directory, type.
std::vector<Mount> mounts() {
  std::vector<Mount> found;
  std::ifstream file("/proc/self/mounts");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string source, directory, type;
    fields >> source >> directory >> type;
    constexpr std::string_view kSource = "chordfs:";
    if (type != "fuse.chordfs" || !source.starts_with(kSource)) continue;
    found.push_back({unescape(directory), source.substr(kSource.size())});
  }
  return found;
}
}  // namespace

Where where(const std::string& typed) {
  std::error_code error;
  auto absolute = std::filesystem::absolute(typed, error).lexically_normal().string();
  Where best;
  std::size_t length = 0;
  for (const auto& mount : mounts()) {
    bool inside = absolute == mount.root || absolute.starts_with(mount.root + "/");
    if (!inside || mount.root.size() < length) continue;
    length = mount.root.size();
    best = {absolute.substr(length), mount.via};
  }
  if (length == 0) best.path = typed;
  if (!best.path.starts_with("/")) best.path.insert(0, "/");
  return best;
}

std::string path_of(const std::string& typed, Shared& shared) {
  auto found = where(typed);
  if (shared.via.empty()) shared.via = found.via;
  return found.path;
}

}  // namespace chordfs::cli
