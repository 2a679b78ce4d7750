#pragma once
// ReceiveBuffer: where one reader thread receives requests. A large write takes the memory over instead of copying it;
// the thread then goes on with other memory, and what was taken comes back when the last Bytes of it is gone.
// Thread: a ReceiveBuffer belongs to its reader, Spares to all.
// Limits: kSparesMax pieces of about 1 MiB are kept for reuse; who holds more is bounded by FileSystem
// (CacheSizes::dirty_bytes).

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "fuse/mount/libfuse.h"
#include "proto/base/bytes.h"

namespace chordfs::mount {

inline constexpr std::size_t kSparesMax = 16;
/// Smaller writes are copied, because one that is taken over holds the whole buffer for as long as it is unsent.
inline constexpr std::size_t kTakeOverBytesMin = 256U << 10;

/// Memory that libfuse allocated (only it knows the size) and that nobody uses just now.
class Spares {
 public:
  Spares() = default;
  Spares(const Spares&) = delete;
  ~Spares();
  /// Null if there is none: libfuse allocates then.
  void* take();
  void give(void* memory);

 private:
  std::mutex mutex_;
  std::vector<void*> memory_;
};

class ReceiveBuffer {
 public:
  /// Makes this the buffer of the calling thread for as long as it lives.
  explicit ReceiveBuffer(std::shared_ptr<Spares> spares);
  ~ReceiveBuffer();
  ReceiveBuffer(const ReceiveBuffer&) = delete;

  /// Waits for a request and hands it to its callback. False when the session is over; then `error` says why, 0 if
  /// because it was unmounted.
  bool serve_one(fuse_session* session, int& error);

  /// Within a callback: the bytes of the write that is being handled, which lie in the calling thread's buffer.
  static Bytes written(const fuse_bufvec& vector);

 private:
  std::shared_ptr<Spares> spares_;
  fuse_buf buffer_{};
  std::shared_ptr<void> taken_;  ///< Set while a Bytes may refer to the memory.
};

}  // namespace chordfs::mount
