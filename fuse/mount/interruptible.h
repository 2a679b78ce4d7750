#pragma once
// Interruptible: hears of FUSE_INTERRUPT for one request, as long as it lives, which must be shorter than the request.
// Owner: the coroutine that waits. Thread: the Runtime's; libfuse tells of the interrupt on a reader's.

#include <boost/asio/post.hpp>
#include <memory>

#include "fuse/fs/interruption.h"
#include "fuse/mount/request.h"

namespace chordfs::mount {

class Interruptible {
 public:
  Interruptible(Request& request, asio::any_io_executor executor) : request_(request.request_), executor_(executor) {
    fuse_req_interrupt_func(request_, &Interruptible::interrupted, this);  // At once, if it was interrupted before.
  }
  Interruptible(const Interruptible&) = delete;
  /// libfuse holds a lock of the request while it tells of the interrupt: afterwards nobody does.
  ~Interruptible() { fuse_req_interrupt_func(request_, nullptr, nullptr); }

  const std::shared_ptr<Interruption>& interruption() const { return interruption_; }

 private:
  static void interrupted(fuse_req_t, void* data) {
    auto& self = *static_cast<Interruptible*>(data);
    asio::post(self.executor_, [interruption = self.interruption_] { interruption->request(); });
  }

  fuse_req_t request_;
  asio::any_io_executor executor_;
  std::shared_ptr<Interruption> interruption_ = std::make_shared<Interruption>();
};

}  // namespace chordfs::mount
