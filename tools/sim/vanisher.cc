#include "tools/sim/vanisher.h"

#include <fmt/format.h>

#include "tools/sim/lock_worker.h"

namespace chordfs {

namespace {
constexpr Duration kPrepareMax = 2min;
constexpr Duration kAgain = 500ms;
/// Between two strikes, on average; and how long they last: some pauses are longer than a session lives.
constexpr Duration kStrikeEvery = 4s;
constexpr Duration kDeadMax = 3s;
constexpr Duration kPauseMax = 20s;
constexpr double kKilled = 0.6;
/// Among the workers with locks: like no other.
constexpr std::uint32_t kNumber = 1000;
/// More than a block, so that the first is stored long before anything is committed; then a while before it is.
constexpr std::size_t kWriteBytes = 64U << 10, kWrites = 20;
constexpr Duration kThinkMax = 900ms, kRestMax = 2s;
constexpr Caller kCaller{1000, 1000};
}  // namespace

class Workload::Vanisher::Mount final : public Program {
 public:
  Mount(Vanisher& vanisher, Runtime& runtime, Transport& transport)
      : vanisher_(vanisher),
        runtime_(runtime),
        client_(runtime, transport, vanisher.load_.ring_.endpoints()),
        files_(client_),
        locks_(vanisher.load_, runtime, files_, kNumber) {}

  awaitable<void> run() override {
    {
      const RingWorld::Connecting connecting(vanisher_.load_.ring_);
      while (!co_await client_.connect()) co_await runtime_.sleep(kAgain);
    }
    while (!co_await files_.start("a mount that vanishes")) co_await runtime_.sleep(kAgain);
    mounted_ = true;
    if (vanisher_.file_ == 0) co_await make_file();
    // Struck while it holds a lock, too.
    for (;;)
      if (!vanisher_.load_.counters_.empty() && vanisher_.rng_.chance(0.5))
        co_await locks_.add();
      else if (!co_await write())
        co_await runtime_.sleep(kAgain);
  }
  awaitable<void> stop() override {
    if (std::exchange(mounted_, false)) co_await files_.stop();
    co_await client_.stop();
  }

 private:
  awaitable<void> make_file() {
    auto& load = vanisher_.load_;
    const auto name = fmt::format("vanishing{}", vanisher_.number_);
    NewObject file{.type = wire::FILE_REGULAR, .mode = 0666, .target = {}};
    auto made = co_await files_.make(kRootIno, name, file, kCaller);
    if (!made) co_return load.ring_.violation("a mount cannot begin: " + made.error().text());
    load.oracle_.add({.ino = made->ino(), .names = {{Oracle::kRoot, name}}, .contents = {}, .any_contents = true});
    vanisher_.file_ = made->ino();
  }

  awaitable<Result<void>> write() {
    auto& rng = vanisher_.rng_;
    CO_TRY(auto opened, co_await files_.open(vanisher_.file_, rng.chance(0.2)));
    Result<void> written;
    for (std::size_t i = 0; i < kWrites && written; ++i)
      written = co_await files_.write(opened.handle, i * kWriteBytes,
                                      Bytes::take(std::string(kWriteBytes, static_cast<char>('a' + i))));
    co_await runtime_.sleep(rng.between({}, kThinkMax));
    if (written) written = co_await files_.flush(opened.handle);
    co_await files_.release(opened.handle);
    co_await runtime_.sleep(rng.between({}, kRestMax));
    co_return written;
  }

  Vanisher& vanisher_;
  Runtime& runtime_;
  RingClient client_;
  FileSystem files_;
  LockWorker locks_;
  bool mounted_ = false;
};

Workload::Vanisher::Vanisher(Workload& load, std::uint32_t number)
    : load_(load), number_(number), rng_(Rng::derived(load.ring_.options().seed, "vanisher", number)) {}

void Workload::Vanisher::prepare() {
  host_ = &load_.ring_.world().add_host({.program = [this](Runtime& runtime, Transport& transport) {
    return std::make_unique<Mount>(*this, runtime, transport);
  }});
  host_->start();
  if (!load_.ring_.world().run_until([this] { return file_ != 0; }, kPrepareMax))
    load_.ring_.violation("a mount on a whole ring does not begin");
}

void Workload::Vanisher::strike_later() {
  next_ = load_.ring_.world().after(rng_.exponential(kStrikeEvery), [this] { strike(); });
}

void Workload::Vanisher::strike() {
  auto& world = load_.ring_.world();
  const bool killed = rng_.chance(kKilled);
  const auto lasts = rng_.between(100ms, killed ? kDeadMax : kPauseMax);
  world.note(fmt::format("the vanishing mount {} for {} ms", killed ? "dies" : "stops", lasts / 1ms));
  killed ? host_->crash() : host_->pause();
  deaths_ += killed;
  next_ = world.after(lasts, [this, killed] {
    killed ? host_->start() : host_->resume();
    strike_later();
  });
}

void Workload::Vanisher::end() {
  if (next_) load_.ring_.world().cancel(*std::exchange(next_, std::nullopt));
  if (host_->paused()) host_->resume();
  if (host_->alive()) host_->crash();
}

}  // namespace chordfs
