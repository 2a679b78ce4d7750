#include "daemon/store/log_record.h"

#include <fmt/format.h>

#include "proto/base/bytes.h"

namespace chordfs {

namespace {

std::uint32_t log_checksum(std::uint32_t arc, std::uint64_t index, std::string_view kind_and_payload) {
  std::string place;
  append_u32(place, arc);
  append_u64(place, index);
  return crc32c(kind_and_payload, crc32c(place));
}

std::uint32_t record_checksum(std::string_view key, std::string_view value) {
  // The key's length first: bytes must not move from key to value unseen.
  std::string length;
  append_u32(length, static_cast<std::uint32_t>(key.size()));
  return crc32c(value, crc32c(key, crc32c(length)));
}

}  // namespace

std::string encode_log_record(std::uint32_t arc, std::uint64_t index, std::uint8_t kind, std::string_view payload) {
  std::string stored(4, '\0');
  stored.reserve(kLogRecordHeaderBytes + payload.size());
  stored.push_back(static_cast<char>(kind));
  stored.append(payload);
  std::string checksum;
  append_u32(checksum, log_checksum(arc, index, std::string_view(stored).substr(4)));
  stored.replace(0, 4, checksum);
  return stored;
}

Result<LogRecord> decode_log_record(std::uint32_t arc, std::uint64_t index, std::string_view stored) {
  if (stored.size() < kLogRecordHeaderBytes || read_u32(stored) != log_checksum(arc, index, stored.substr(4)))
    return {Errc::corrupt, fmt::format("log entry {} of arc {} ({} bytes)", index, arc, stored.size())};
  return LogRecord{static_cast<std::uint8_t>(stored[4]), stored.substr(kLogRecordHeaderBytes)};
}

std::string seal_record(std::string_view key, std::string value) {
  append_u32(value, record_checksum(key, value));
  return value;
}

Result<std::string_view> open_record(std::string_view key, std::string_view stored) {
  if (stored.size() >= kSealBytes) {
    auto value = stored.substr(0, stored.size() - kSealBytes);
    if (read_u32(stored.substr(value.size())) == record_checksum(key, value)) return value;
  }
  return {Errc::corrupt, fmt::format("record {} ({} bytes)", hex(key), stored.size())};
}

}  // namespace chordfs
