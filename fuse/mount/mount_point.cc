#include "fuse/mount/mount_point.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

extern char** environ;

namespace chordfs::mount {

namespace {

constexpr int kReadAheadKib = 4096;
constexpr const char* kType = "fuse.chordfs";

/// mountinfo writes blanks and backslashes in paths as \040 and so on.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
      out.push_back(static_cast<char>(code));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool empty_directory(const std::string& path) {
  std::unique_ptr<DIR, decltype([](DIR* d) { closedir(d); })> directory(opendir(path.c_str()));
  if (!directory) return true;  // Not ours to read: let the kernel decide.
  while (const auto* entry = readdir(directory.get()))
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) return false;
  return true;
}

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(fmt::format("{}:/usr/bin:/bin", path ? path : ""));
  for (std::string folder; std::getline(folders, folder, ':');)
    if (!folder.empty() && access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

/// Exit status of fusermount3 with these arguments; -1 if it could not be run.
int fusermount(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "fusermount3");
  arguments.push_back(nullptr);
  pid_t child;
  if (posix_spawnp(&child, "fusermount3", nullptr, nullptr, const_cast<char**>(arguments.data()), environ) != 0)
    return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Calls `act` in a process of its own, which gives an errno; -1 if that could not be. Here it would wait for answers
/// of this very process, and be killed only with it: for as long as one thread waits, /dev/fuse stays open, the kernel
/// goes on waiting, and not even SIGKILL ends either.
template <class Act>
int apart(Act act) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // The child's copy of our handlers must not run.
  const pid_t child = fork();
  if (child == 0) {
    close_range(0, ~0U, 0);
    _exit(act());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void write_back(const char* path) {
  apart([path] {
    const int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return file < 0 || syncfs(file) != 0 ? errno : 0;
  });
}

}  // namespace

std::optional<MountedHere> mounted_at(const std::string& path, std::string_view mountinfo) {
  std::optional<MountedHere> found;  // Later lines are mounted on top of earlier ones.
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    // proc_pid_mountinfo(5): ID parent major:minor root point options [optional …] - type source superoptions
    std::istringstream fields(line);
    std::string id, parent, device, root, point, word, type;
    fields >> id >> parent >> device >> root >> point;
    while (fields >> word && word != "-") {
    }
    fields >> type;
    if (unescaped(point) == path) found = MountedHere{device, type};
  }
  return found;
}

std::optional<MountedHere> mounted_at(const std::string& path) {
  std::ifstream file("/proc/self/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  return mounted_at(path, text.str());
}

Problem check_mount_point(std::string& path, Contents contents) {
  auto problem = [&](std::string_view why) { return Failure{Exit::mount_point, fmt::format("{}: {}", path, why)}; };
  char absolute[PATH_MAX];
  if (!realpath(path.c_str(), absolute)) {
    if (errno == ENOENT) return problem("there is no such directory to mount on");
    if (errno == ENOTCONN)
      return problem(fmt::format("a mount whose server has died is still there; remove it: fusermount3 -u {}", path));
    return problem(std::strerror(errno));
  }
  path = absolute;
  // Before any look inside, because a mounted file system may not answer.
  if (auto mounted = mounted_at(path); mounted && mounted->type == kType)
    return problem(fmt::format("a ChordFS is mounted here already; unmount it first: fusermount3 -u {}", path));
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return problem(std::strerror(errno));
  if (!S_ISDIR(status.st_mode)) return problem("the mount point is not a directory");
  if (contents == Contents::must_be_empty && !empty_directory(path))
    return problem("the mount point is not empty (to mount over what is there: -o nonempty)");
  return {};
}

Problem check_fuse(bool root) {
  if (access("/dev/fuse", F_OK) != 0)
    return Failure{Exit::fuse,
                   "/dev/fuse is missing: load the kernel module (modprobe fuse), or give the container the device"};
  // libfuse itself opens the device, also for users whose mount(2) fusermount3 does.
  int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) return Failure{Exit::fuse, fmt::format("/dev/fuse cannot be opened: {}", std::strerror(errno))};
  close(device);
  if (!root && !in_path("fusermount3"))
    return Failure{Exit::fuse,
                   "fusermount3 is missing: users other than root need it to mount (Debian: apt install fuse3)"};
  return {};
}

Problem change_flags(const std::string& path, unsigned long flags) {
  if (auto mounted = mounted_at(path); !mounted || mounted->type != kType)
    return Failure{Exit::mount_point, fmt::format("{}: no ChordFS is mounted here", path)};
  if (::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | flags, nullptr) != 0)
    return Failure{Exit::failed, fmt::format("{}: {}", path, std::strerror(errno))};
  return {};
}

void raise_read_ahead(const std::string& device) {
  std::ofstream(fmt::format("/sys/class/bdi/{}/read_ahead_kb", device)) << kReadAheadKib;
}

Unmounted unmount(const std::string& path, const std::string& device, std::string& reason) {
  bool root = geteuid() == 0;
  int error = 0;
  auto unmounted = [&](bool lazily) {
    if (root) {
      error = apart([name = path.c_str(), flags = UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)] {
        return umount2(name, flags) == 0 ? 0 : errno;
      });
      return error == 0;
    }
    return (lazily ? fusermount({"-u", "-q", "-z", "--", path.c_str()})
                   : fusermount({"-u", "-q", "--", path.c_str()})) == 0;
  };
  reason = "it is not mounted any more";
  if (auto mounted = mounted_at(path); !mounted || mounted->device != device) return Unmounted::not_mounted;
  if (unmounted(false)) return Unmounted::clean;
  reason = root ? std::strerror(std::max(error, 0)) : "fusermount3 refused";
  write_back(path.c_str());
  return unmounted(true) ? Unmounted::detached : Unmounted::failed;
}

}  // namespace chordfs::mount
