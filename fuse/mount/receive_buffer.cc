#include "fuse/mount/receive_buffer.h"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "proto/base/check.h"

namespace chordfs::mount {

namespace {
thread_local ReceiveBuffer* buffer_of_thread = nullptr;
}

Spares::~Spares() {
  for (void* memory : memory_) std::free(memory);
}

void* Spares::take() {
  std::lock_guard lock(mutex_);
  if (memory_.empty()) return nullptr;
  void* last = memory_.back();
  memory_.pop_back();
  return last;
}

void Spares::give(void* memory) {
  if (!memory) return;
  {
    std::lock_guard lock(mutex_);
    if (memory_.size() < kSparesMax) {
      memory_.push_back(memory);
      return;
    }
  }
  std::free(memory);
}

ReceiveBuffer::ReceiveBuffer(std::shared_ptr<Spares> spares) : spares_(std::move(spares)) {
  buffer_of_thread = this;
}

ReceiveBuffer::~ReceiveBuffer() {
  buffer_of_thread = nullptr;
  spares_->give(buffer_.mem);
}

bool ReceiveBuffer::serve_one(fuse_session* session, int& error) {
  error = 0;
  if (!buffer_.mem) buffer_.mem = spares_->take();
  int received = fuse_session_receive_buf(session, &buffer_);
  if (received == -EINTR || received == -EAGAIN) return !fuse_session_exited(session);
  if (received <= 0) {
    error = -received;
    return false;
  }
  fuse_session_process_buf(session, &buffer_);
  taken_.reset();
  return !fuse_session_exited(session);
}

Bytes ReceiveBuffer::written(const fuse_bufvec& vector) {
  CHECK(vector.count == 1 && !(vector.buf[0].flags & FUSE_BUF_IS_FD), "a write of {} pieces", vector.count);
  const auto* data = static_cast<const char*>(vector.buf[0].mem);
  auto size = vector.buf[0].size;
  auto* self = buffer_of_thread;
  if (size < kTakeOverBytesMin || !self) return Bytes::copy({data, size});
  self->taken_ = std::shared_ptr<void>(std::exchange(self->buffer_.mem, nullptr),
                                       [spares = self->spares_](void* memory) { spares->give(memory); });
  return Bytes::share(self->taken_, data, size);
}

}  // namespace chordfs::mount
