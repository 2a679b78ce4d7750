#include "fuse/mount/session.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

#include "proto/base/check.h"

namespace chordfs::mount {

namespace {

/// Wakes a reader out of read(2) when the device outlives the mount (detached while in use).
constexpr int kWakeSignal = SIGUSR1;
constexpr Duration kWakeEvery = 5ms;

/// What libfuse complained of since mount() began; empty and unused afterwards.
thread_local std::string* complaints = nullptr;

void log_of_libfuse(fuse_log_level level, const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  if (complaints) return (void)complaints->append(line);
  std::string_view text(line);
  while (text.ends_with('\n')) text.remove_suffix(1);
  spdlog::log(level <= FUSE_LOG_ERR ? spdlog::level::err : spdlog::level::debug, "{}", text);
}

std::string one_line(std::string text) {
  if (text.starts_with("fuse: ")) text.erase(0, 6);
  while (text.ends_with('\n')) text.pop_back();
  for (char& c : text)
    if (c == '\n') c = ' ';
  // fusermount3 has printed its reason itself.
  return text.empty() ? "fusermount3 refused" : text;
}

/// fuse_session_new() with our options; it consumes them.
fuse_session* new_session(const std::vector<std::string>& options, Target& target) {
  fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
  fuse_opt_add_arg(&arguments, "chordfs-mount");
  for (const auto& option : options) {
    fuse_opt_add_arg(&arguments, "-o");
    fuse_opt_add_arg(&arguments, option.c_str());
  }
  auto* session = fuse_session_new(&arguments, &callbacks(), sizeof(fuse_lowlevel_ops), &target);
  fuse_opt_free_args(&arguments);
  return session;
}

/// As libfuse finds it out: the mount is gone, or was aborted.
bool connection_dead(fuse_session* session) {
  pollfd device{.fd = fuse_session_fd(session), .events = 0, .revents = 0};
  return poll(&device, 1, 0) == 1 && (device.revents & POLLERR);
}

/// All signals belong to the Runtime's thread; a reader gets only the one that wakes it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, kWakeSignal);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

Session::Session(Runtime& runtime, FileSystem& files)
    : runtime_(runtime),
      inbox_(runtime),
      files_(files),
      invalidator_(runtime),
      operations_(files, invalidator_),
      target_{inbox_, operations_} {
  struct sigaction nothing{};
  nothing.sa_handler = [](int) {};  // No SA_RESTART: read(2) must return.
  sigaction(kWakeSignal, &nothing, nullptr);
}

Session::~Session() {
  CHECK(!session_ && readers_.empty(), "stop() was not called");
}

Problem Session::mount(const std::string& path, const std::vector<std::string>& options) {
  std::string said;
  complaints = &said;
  fuse_set_log_func(log_of_libfuse);
  session_ = new_session(options, target_);
  bool mounted = session_ && fuse_session_mount(session_, path.c_str()) == 0;
  complaints = nullptr;
  if (!mounted) {
    if (session_) fuse_session_destroy(std::exchange(session_, nullptr));
    return Failure{Exit::fuse, fmt::format("cannot mount on {}: {}", path, one_line(said))};
  }
  path_ = path;
  if (auto here = mounted_at(path)) device_ = here->device;

  SignalsBlocked blocked;
  invalidator_.start({.drop =
                          [session = session_](Ino ino, std::uint64_t begin, std::uint64_t end) {
                            // Whether the kernel knows the inode at all does not matter.
                            fuse_lowlevel_notify_inval_inode(session, ino, static_cast<off_t>(begin),
                                                             end == 0 ? 0 : static_cast<off_t>(end - begin));
                          },
                      .waits = waits_uninterruptibly});
  files_.when_pages_are_old([this](Ino ino) { invalidator_.drop_pages_later(ino); },
                            [this](Ino ino) { return invalidator_.drop_pages(ino); });
  for (std::size_t i = 0; i < kReaders; ++i) readers_.emplace_back([this] { read_requests(); });
  return {};
}

void Session::read_requests() {
  ReceiveBuffer buffer(spares_);
  int error = 0;
  while (buffer.serve_one(session_, error))
    // The reply to INIT is out now, so that what ready() changes in the kernel stays.
    if (!told_ready_.load(std::memory_order_relaxed) && target_.initialised && !told_ready_.exchange(true))
      asio::post(runtime_.executor(), [this] { initialised_.set({}); });
  asio::post(runtime_.executor(), [this, error] { reader_ended(error); });
}

void Session::reader_ended(int error) {
  ++readers_ended_;
  if (error != 0) spdlog::error("reading /dev/fuse: {}", std::strerror(error));
  ended_.set(error);
}

awaitable<Problem> Session::ready() {
  if (!co_await initialised_.wait_for(runtime_, kInitLimit))
    co_return Failure{Exit::fuse, fmt::format("cannot mount on {}: the kernel did not speak to us", path_)};
  raise_read_ahead(device_);
  co_return std::nullopt;
}

awaitable<int> Session::ended() {
  return ended_.wait();
}

awaitable<Unmounted> Session::unmount() {
  {
    SignalsBlocked blocked;
    unmounter_ = std::thread([this] {
      Detached done;
      done.how = mount::unmount(path_, device_, done.reason);
      asio::post(runtime_.executor(), [this, done] { unmounted_.set(done); });
    });
  }
  auto done = co_await unmounted_.wait();
  unmounter_.join();
  gone_ = done.how != Unmounted::failed;
  if (done.how == Unmounted::detached)
    spdlog::warn("{} is in use ({}): taken out of the tree, those who use it get errors", path_, done.reason);
  if (done.how == Unmounted::failed) spdlog::error("{} cannot be unmounted: {}", path_, done.reason);
  co_return done.how;
}

awaitable<void> Session::end_readers() {
  fuse_session_exit(session_);
  // A signal that comes just before read(2) is lost: again, until all have ended.
  while (readers_ended_ < readers_.size()) {
    for (auto& reader : readers_) pthread_kill(reader.native_handle(), kWakeSignal);
    co_await runtime_.sleep(kWakeEvery);
  }
  for (auto& reader : readers_) reader.join();
  readers_.clear();
}

awaitable<void> Session::stop() {
  if (!session_) co_return;
  files_.when_pages_are_old([](Ino) {}, {});
  co_await invalidator_.stop();
  co_await end_readers();
  co_await inbox_.finish(kLastCallsLimit);
  // libfuse closes the device here, and unmounts by path unless the connection is dead. It must not when our mount is
  // out of the tree but still in use: the path may be somebody else's by now. (Its few bytes are lost then.)
  if (!gone_ || connection_dead(session_)) fuse_session_unmount(session_);
  fuse_session_destroy(std::exchange(session_, nullptr));
}

}  // namespace chordfs::mount
