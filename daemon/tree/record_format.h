#pragma once
// Whether a record could have been written by the tree: for records that come from another node. Looks at one record
// alone, not at what it says about others. Pure; any thread. Formats: README.md, "Records".

#include <string_view>

namespace chordfs::tree {

bool is_record(std::string_view key, std::string_view value);

}  // namespace chordfs::tree
