#pragma once
// The marker file of a data directory: says that it is a ChordFS node's, and in which format. It keeps a node from
// writing into a directory that is somebody else's or that only a newer chordfs-node understands, and from taking a
// directory whose records are gone for a new one. Format: FORMAT.md, "format". Owner: RealDisk. Thread: any; blocking.
// Errors: not_permitted (not a ChordFS directory), wrong_version (a newer one's), corrupt (damaged), io_error,
// disk_full; each says what to do.

#include <filesystem>

#include "proto/base/result.h"

namespace chordfs {

/// What a node may do with a data directory.
enum class DirectoryState {
  fresh,     ///< Nothing of value is in it: a first start, or one that was cut short.
  unmarked,  ///< Holds records, but no marker: made by a version without markers, or cut short before it was marked.
  marked,
};

/// Looks without changing anything; the directory may be absent.
Result<DirectoryState> look_at_data_directory(const std::filesystem::path& directory);
/// Durable when it returns. Whole or absent at every moment.
Result<void> mark_data_directory(const std::filesystem::path& directory);

/// What tells one boot of this machine from the next; empty if the kernel does not say.
std::string boot_of_the_machine();

}  // namespace chordfs
