#include "fuse/mount/mount_options.h"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <optional>

#include "fuse/mount/options.h"

namespace chordfs::mount {

namespace {

enum class Fate {
  kernel,   ///< A flag of mount(2); libfuse knows it too.
  libfuse,  ///< libfuse's or the kernel's FUSE.
  nothing,  ///< For mount(8), for systemd, or the same with FUSE whether said or not.
};

struct Word {
  std::string_view name;
  Fate fate;
  unsigned long sets = 0;
  unsigned long clears = 0;
  bool valued = false;
};

// Times of access are kept by us, not by the kernel, so what it is told of them means nothing here (relatime and so
// on); noatime is passed on because programs look for it in the list of mounts.
constexpr std::array kWords = std::to_array<Word>({
    {"ro", Fate::kernel, MS_RDONLY, 0},
    {"rw", Fate::kernel, 0, MS_RDONLY},
    {"nosuid", Fate::kernel, MS_NOSUID, 0},
    {"suid", Fate::kernel, 0, MS_NOSUID},
    {"nodev", Fate::kernel, MS_NODEV, 0},
    {"dev", Fate::kernel, 0, MS_NODEV},
    {"noexec", Fate::kernel, MS_NOEXEC, 0},
    {"exec", Fate::kernel, 0, MS_NOEXEC},
    {"sync", Fate::kernel, MS_SYNCHRONOUS, 0},
    {"async", Fate::kernel, 0, MS_SYNCHRONOUS},
    {"dirsync", Fate::kernel, MS_DIRSYNC, 0},
    {"noatime", Fate::kernel, MS_NOATIME, 0},
    {"allow_other", Fate::libfuse},
    {"allow_root", Fate::libfuse},
    {"auto_unmount", Fate::libfuse},
    {"default_permissions", Fate::libfuse},
    {"fsname", Fate::libfuse, 0, 0, true},
    {"subtype", Fate::libfuse, 0, 0, true},
    {"max_read", Fate::libfuse, 0, 0, true},
    {"defaults", Fate::nothing},
    {"auto", Fate::nothing},
    {"noauto", Fate::nothing},
    {"user", Fate::nothing},
    {"nouser", Fate::nothing},
    {"users", Fate::nothing},
    {"nousers", Fate::nothing},
    {"owner", Fate::nothing},
    {"group", Fate::nothing},
    {"nofail", Fate::nothing},
    {"_netdev", Fate::nothing},
    {"atime", Fate::nothing},
    {"diratime", Fate::nothing},
    {"nodiratime", Fate::nothing},
    {"relatime", Fate::nothing},
    {"norelatime", Fate::nothing},
    {"strictatime", Fate::nothing},
    {"nostrictatime", Fate::nothing},
    {"lazytime", Fate::nothing},
    {"nolazytime", Fate::nothing},
    {"iversion", Fate::nothing},
    {"noiversion", Fate::nothing},
    {"mand", Fate::nothing},
    {"nomand", Fate::nothing},
    {"silent", Fate::nothing},
    {"loud", Fate::nothing},
    {"comment", Fate::nothing, 0, 0, true},
    // mount -o remount repeats what the kernel shows of a mount.
    {"user_id", Fate::nothing, 0, 0, true},
    {"group_id", Fate::nothing, 0, 0, true},
});

const Word* find_word(std::string_view name) {
  const auto* found = std::ranges::find(kWords, name, &Word::name);
  return found == kWords.end() ? nullptr : found;
}

std::size_t end_of_first(std::string_view list) {
  std::size_t at = 0;
  while (at < list.size() && list[at] != ',') at += list[at] == '\\' ? 2 : 1;
  return std::min(at, list.size());
}

/// Those of our own; false if it is none of them.
bool add_own(std::string_view name, std::optional<std::string_view> value, Options& out) {
  if (name == "nonempty" && !value)
    out.nonempty = true;
  else if (name == "verbose" && !value)
    out.verbose = true;
  else if (name == "remount" && !value)
    out.remount = true;
  else if (name == "log-file" && value)
    out.log_file = *value;
  else
    return false;
  return true;
}

Result<void> add_one(std::string_view option, Unknown unknown, Options& out) {
  const auto equals = option.find('=');
  const auto name = option.substr(0, equals);
  std::optional<std::string_view> value;
  if (equals != option.npos) value = option.substr(equals + 1);
  if (name.starts_with("x-") || name.starts_with("X-") || add_own(name, value, out)) return {};
  if (name == "cache-size" && value) {
    TRY(out.cache_bytes, parse_cache_size(std::string(*value)));
    return {};
  }
  const auto* word = find_word(name);
  if (!word) {
    if (unknown == Unknown::ignored) return {};
    return Error{Errc::invalid, fmt::format("'{}' is no mount option that chordfs-mount knows", option)};
  }
  if (word->valued && (!value || value->empty()))
    return Error{Errc::invalid, fmt::format("the mount option '{}' needs a value: {}=VALUE", name, name)};
  // user=NAME and the like are what mount(8) remembers of who called it.
  if (!word->valued && value && word->fate != Fate::nothing)
    return Error{Errc::invalid, fmt::format("the mount option '{}' takes no value", name)};
  if (word->fate != Fate::nothing) out.fuse.emplace_back(option);
  return {};
}

}  // namespace

Result<void> add_mount_options(std::string_view list, Unknown unknown, Options& out) {
  while (!list.empty()) {
    const auto one = list.substr(0, end_of_first(list));
    list.remove_prefix(std::min(list.size(), one.size() + 1));
    if (!one.empty()) TRY_VOID(add_one(one, unknown, out));
  }
  return {};
}

std::string escaped(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == ',' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

unsigned long mount_flags(const std::vector<std::string>& options) {
  unsigned long flags = 0;
  for (const auto& option : options)
    if (const auto* word = find_word(option)) flags = (flags & ~word->clears) | word->sets;
  return flags;
}

}  // namespace chordfs::mount
