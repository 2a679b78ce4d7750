#include "proto/rpc/asio_runtime.h"

#include <openssl/rand.h>

#include "proto/base/check.h"

namespace chordfs {

AsioRuntime::AsioRuntime(asio::io_context& io) : executor_(io.get_executor()), alarm_(io) {}

Time AsioRuntime::now() const {
  return Time(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

std::int64_t AsioRuntime::wall_now() const {
  return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint64_t AsioRuntime::random() {
  if (entropy_left_ == 0) {
    auto* bytes = reinterpret_cast<unsigned char*>(entropy_.data());
    CHECK(RAND_bytes(bytes, sizeof(entropy_)) == 1, "OpenSSL has no randomness");
    entropy_left_ = entropy_.size();
  }
  return std::exchange(entropy_[--entropy_left_], 0);
}

Runtime::TimerId AsioRuntime::schedule(Time when, std::move_only_function<void()> callback) {
  auto timer = timers_.add(when, std::move(callback));
  arm();
  return timer;
}

void AsioRuntime::arm() {
  // Most timers are deadlines that get cancelled. An alarm that rings too early is cheaper than moving it each time.
  if (timers_.empty() || timers_.first() >= armed_for_) return;
  armed_for_ = timers_.first();
  alarm_.expires_at(std::chrono::steady_clock::time_point(armed_for_.time_since_epoch()));
  alarm_.async_wait([this](boost::system::error_code error) {
    if (!error) fire();
  });
}

void AsioRuntime::fire() {
  armed_for_ = Time::max();
  timers_.run_due(now());
  arm();
}

}  // namespace chordfs
