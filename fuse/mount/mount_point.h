#pragma once
// The directory that is mounted on, and what this machine says about it. No call here waits for a mounted file system
// to answer, except check_mount_point() for whatever is mounted on the way to it.

#include <optional>
#include <string>
#include <string_view>

#include "fuse/mount/exit.h"

namespace chordfs::mount {

struct MountedHere {
  std::string device;  ///< "MAJOR:MINOR"
  std::string type;    ///< "fuse.chordfs"
};

/// The uppermost mount on exactly this absolute path, from /proc/self/mountinfo.
std::optional<MountedHere> mounted_at(const std::string& path);
/// The same from the text of a mountinfo file. Pure.
std::optional<MountedHere> mounted_at(const std::string& path, std::string_view mountinfo);

enum class Contents { must_be_empty, may_be_anything };
/// Makes `path` absolute. A problem if nothing can be mounted there.
Problem check_mount_point(std::string& path, Contents contents);
/// A problem if this machine or this user has no FUSE.
Problem check_fuse(bool root);

/// Gives a ChordFS that is mounted at `path` these flags of mount(2).
Problem change_flags(const std::string& path, unsigned long flags);

/// Root only: lets the kernel read ahead further than its 128 KiB. Quietly does nothing where that is not possible.
void raise_read_ahead(const std::string& device);

enum class Unmounted { clean, detached, not_mounted, failed };
/// Unmounts what is mounted at `path`, if it is `device` (not_mounted otherwise), waiting for the kernel's dirty pages,
/// so it must not run on a thread that serves. If somebody is using the mount: writes back what is dirty and takes it
/// out of the tree; it ends when its server does. `reason` is set for all but clean.
Unmounted unmount(const std::string& path, const std::string& device, std::string& reason);

}  // namespace chordfs::mount
