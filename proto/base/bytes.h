#pragma once
// Bytes: an immutable run of bytes that is passed around by reference count and never copied. A slice shares its
// owner's memory. Any thread may read; none may write once a Bytes exists.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace chordfs {

class Bytes {
 public:
  Bytes() = default;
  Bytes(const Bytes&) = default;
  Bytes& operator=(const Bytes&) = default;
  /// Leaves `other` empty, not a view of memory that it keeps alive no longer.
  Bytes(Bytes&& other) noexcept
      : owner_(std::move(other.owner_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Bytes& operator=(Bytes&& other) noexcept {
    owner_ = std::move(other.owner_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  /// Takes over the string's memory.
  static Bytes take(std::string&& text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    const std::string_view all = *owner;  // Before the owner is moved away.
    return Bytes(std::move(owner), all.data(), all.size());
  }
  static Bytes copy(std::string_view text) { return take(std::string(text)); }
  /// Memory that `owner` keeps alive and that nobody changes any more.
  static Bytes share(std::shared_ptr<const void> owner, const char* data, std::size_t size) {
    return Bytes(std::move(owner), data, size);
  }

  const char* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }

  /// The bytes [offset, offset + size), which must lie inside; shares memory.
  Bytes slice(std::size_t offset, std::size_t size) const {
    if (offset > size_) offset = size_;
    if (size > size_ - offset) size = size_ - offset;
    return Bytes(owner_, data_ + offset, size);
  }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view() == b.view(); }

 private:
  Bytes(std::shared_ptr<const void> owner, const char* data, std::size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}

  std::shared_ptr<const void> owner_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Memory to be filled once (by a socket, by a file) and then frozen into Bytes. Not zeroed first.
class Buffer {
 public:
  explicit Buffer(std::size_t size) : memory_(std::make_shared_for_overwrite<char[]>(size)), size_(size) {}

  char* data() { return memory_.get(); }
  std::size_t size() const { return size_; }
  std::span<char> span() { return {memory_.get(), size_}; }
  /// The first `size` bytes, for good. The Buffer must not be written afterwards.
  Bytes freeze(std::size_t size) && {
    const char* data = memory_.get();
    return Bytes::share(std::shared_ptr<const void>(std::move(memory_)), data, size);
  }
  Bytes freeze() && { return std::move(*this).freeze(size_); }

 private:
  std::shared_ptr<char[]> memory_;
  std::size_t size_;
};

/// CRC-32C (Castagnoli, RFC 3720) as every checksum here is; `seed` continues an earlier one.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);

/// Lower-case hexadecimal.
std::string hex(std::string_view bytes);

/// Integers in keys and files: big-endian, so that the order of bytes is the order of numbers.
inline void append_u64(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}
inline void append_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}
inline void append_u16(std::string& out, std::uint16_t value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}
inline std::uint64_t read_u64(std::string_view in) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(in[i]);
  return value;
}
inline std::uint32_t read_u32(std::string_view in) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(in[i]);
  return value;
}
inline std::uint16_t read_u16(std::string_view in) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(in[0]) << 8 | static_cast<unsigned char>(in[1]));
}

}  // namespace chordfs
