#pragma once
// Checksums around what is kept as records: log entries, and the state machine's own. Pure; any thread.
// A checksum covers where a value belongs as well as the value: one that was written to the wrong place is found too.
// Errors: corrupt (does not fit its place, cut, or flipped), naming the place. Formats: FORMAT.md.

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace chordfs {

/// One entry of an arc's log, as it is read back. `payload` points into the stored value.
struct LogRecord {
  std::uint8_t kind = 0;
  std::string_view payload;
};

inline constexpr std::size_t kLogRecordHeaderBytes = 5;
inline constexpr std::size_t kSealBytes = 4;

/// The value to keep for entry `index` of arc `arc`; `kind` is the arc layer's own.
std::string encode_log_record(std::uint32_t arc, std::uint64_t index, std::uint8_t kind, std::string_view payload);
Result<LogRecord> decode_log_record(std::uint32_t arc, std::uint64_t index, std::string_view stored);

/// The value to keep under `key`: `value` and a checksum of both behind it.
std::string seal_record(std::string_view key, std::string value);
/// The value that was sealed; points into `stored`.
Result<std::string_view> open_record(std::string_view key, std::string_view stored);

}  // namespace chordfs
