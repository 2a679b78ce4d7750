#pragma once
// What -o may say: the words of mount(8) and of FUSE file systems, and our own. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"

namespace chordfs::mount {

struct Options;

enum class Unknown { refused, ignored };
/// Adds what a list with commas says (a backslash before a comma makes it part of a value) to `out`. An error names the
/// option that is not known, or whose value is not right.
Result<void> add_mount_options(std::string_view list, Unknown unknown, Options& out);

/// As the value of one of libfuse's options.
std::string escaped(std::string_view value);

/// What mount(2) is told to make these the flags of a mount that exists. Of those that stand against each other, the
/// last counts.
unsigned long mount_flags(const std::vector<std::string>& options);

}  // namespace chordfs::mount
