#include "tools/sim/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tools/sim/lock_worker.h"
#include "tools/sim/sign_worker.h"
#include "tools/sim/vanisher.h"
#include "tools/sim/worker.h"

namespace chordfs {

namespace {
constexpr int kBlockLooks = 60;
constexpr std::uint64_t kCounterFarOff = 100'000;
constexpr Duration kPrepareMax = 2min;
constexpr Duration kFinishMax = 2min;
/// Sessions of mounts that were cut off expire, then orphans go.
constexpr Duration kCleanMax = 2min;
constexpr Duration kCleanPoll = 2s;
constexpr Duration kAgain = 500ms;
constexpr Caller kCaller{1000, 1000};

bool answered_by_tree(Errc code) {
  switch (code) {
    case Errc::ok:
    case Errc::unreachable:
    case Errc::timed_out:
    case Errc::cancelled:
    case Errc::busy:
    case Errc::unavailable:
    case Errc::io_error:
    case Errc::disk_full:
    case Errc::session_closed:
      return false;
    default:
      return true;
  }
}
}  // namespace

// ---- Mounts ----

/// What chordfs-mount is, without the kernel; and the programs that work on it.
class Workload::Mount final : public Program {
 public:
  Mount(Workload& load, std::uint32_t number, Runtime& runtime, Transport& transport)
      : load_(load),
        runtime_(runtime),
        client_(runtime, transport, load.ring_.endpoints()),
        files_(std::make_unique<FileSystem>(client_)),
        tasks_(runtime) {
    for (std::size_t i = 0; i < load.options_.workers; ++i)
      workers_.push_back(std::make_unique<Worker>(load, runtime, *files_,
                                                  static_cast<std::uint32_t>(number * load.options_.workers + i)));
    registers_ = std::make_unique<RegisterWorker>(load, runtime, *files_, number);
    signs_ = std::make_unique<SignWorker>(load, runtime, *files_, number);
    locks_ = std::make_unique<LockWorker>(load, runtime, *files_, number);
  }

  awaitable<void> run() override {
    {
      const RingWorld::Connecting connecting(load_.ring_);
      while (!co_await client_.connect()) co_await runtime_.sleep(kAgain);
    }
    while (!co_await files_->start("simulated mount")) co_await runtime_.sleep(kAgain);
    mounted_ = true;
    if (load_.ready_ == 0 && load_.registers_.empty()) co_await make_common();
    for (auto& worker : workers_) co_await worker->prepare();
    ++load_.ready_;
    while (!load_.begun_) co_await runtime_.sleep(kAgain);
    for (auto& worker : workers_) tasks_.spawn("worker", worker->run());
    if (!load_.registers_.empty()) tasks_.spawn("register worker", registers_->run());
    if (load_.sign_ != 0) tasks_.spawn("sign worker", signs_->run());
    tasks_.spawn("lock worker", locks_->run());
    co_await tasks_.join();
    co_await unmount();
    --load_.working_;
  }
  awaitable<void> stop() override {
    tasks_.stop();
    co_await tasks_.join();
    co_await unmount();
  }

 private:
  awaitable<void> unmount() {
    if (std::exchange(mounted_, false)) co_await files_->stop();
    co_await client_.stop();
  }

  /// By the first mount.
  awaitable<void> make_common() {
    NewObject directory{.type = wire::FILE_DIRECTORY, .mode = 0777, .target = {}};
    auto shared = co_await files_->make(kRootIno, "shared", directory, kCaller);
    if (!load_.judge("prepare", shared)) co_return load_.ring_.violation(shared.error().text());
    load_.shared_ = load_.oracle_.add(
        {.ino = shared->ino(), .type = wire::FILE_DIRECTORY, .names = {{Oracle::kRoot, "shared"}}, .contents = {}});
    // One in the record, one in blocks.
    for (std::uint64_t offset : {std::uint64_t{0}, kCounterFarOff}) {
      auto name = fmt::format("counter{}", load_.counters_.size());
      NewObject file{.type = wire::FILE_REGULAR, .mode = 0666, .target = {}};
      auto made = co_await files_->make(shared->ino(), name, file, kCaller);
      if (!load_.judge("prepare", made)) co_return load_.ring_.violation(made.error().text());
      load_.oracle_.add({.ino = made->ino(), .names = {{load_.shared_, name}}, .contents = {}, .any_contents = true});
      load_.counters_.push_back({.ino = made->ino(), .offset = offset});
    }
    for (std::size_t i = 0; i < load_.options_.registers; ++i) {
      auto name = fmt::format("register{}", i);
      NewObject file{.type = wire::FILE_REGULAR, .mode = 0666, .target = {}};
      auto made = co_await files_->make(shared->ino(), name, file, kCaller);
      if (!load_.judge("prepare", made)) co_return load_.ring_.violation(made.error().text());
      load_.oracle_.add({.ino = made->ino(), .names = {{load_.shared_, name}}, .contents = {}, .any_contents = true});
      load_.registers_.push_back(made->ino());
      load_.registers_arc_ = client_.arc_of_ino(made->ino());
    }
    auto signs = co_await files_->make(shared->ino(), "signs", directory, kCaller);
    if (!load_.judge("prepare", signs)) co_return load_.ring_.violation(signs.error().text());
    load_.oracle_.add(
        {.ino = signs->ino(), .type = wire::FILE_DIRECTORY, .names = {{load_.shared_, "signs"}}, .contents = {}});
    NewObject file{.type = wire::FILE_REGULAR, .mode = 0666, .target = {}};
    auto sign = co_await files_->make(shared->ino(), "sign", file, kCaller);
    if (!load_.judge("prepare", sign)) co_return load_.ring_.violation(sign.error().text());
    load_.oracle_.add({.ino = sign->ino(), .names = {{load_.shared_, "sign"}}, .contents = {""}});
    SetAttributes set;
    set.mtime = kSignTime;
    auto timed = co_await files_->set_attributes(sign->ino(), set);
    if (!load_.judge("prepare", timed)) co_return load_.ring_.violation(timed.error().text());
    load_.signs_ = signs->ino();
    load_.sign_ = sign->ino();
  }

  Workload& load_;
  Runtime& runtime_;
  RingClient client_;
  std::unique_ptr<FileSystem> files_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<RegisterWorker> registers_;
  std::unique_ptr<SignWorker> signs_;
  std::unique_ptr<LockWorker> locks_;
  bool mounted_ = false;
  TaskGroup tasks_;
};

/// A mount that nobody used before, which looks at everything.
class Workload::Auditor final : public Program {
 public:
  Auditor(Workload& load, Runtime& runtime, Transport& transport)
      : load_(load), runtime_(runtime), client_(runtime, transport, load.ring_.endpoints()), files_(client_) {}

  awaitable<void> run() override {
    auto done = co_await audit();
    if (!done) load_.ring_.violation("the calm ring cannot be read: " + done.error().text());
    done_ = true;
  }
  awaitable<void> stop() override {
    if (std::exchange(mounted_, false)) co_await files_.stop();
    co_await client_.stop();
  }
  bool done() const { return done_; }

 private:
  awaitable<Result<void>> audit() {
    CO_TRY_VOID(co_await client_.connect());
    CO_TRY_VOID(co_await files_.start("auditor"));
    mounted_ = true;
    // Whether it was there last is a matter of its history.
    if (auto lowered = co_await files_.unlink(load_.signs_, std::string(SignWorker::kName));
        !lowered && lowered.code() != Errc::not_found)
      co_return lowered.error();
    CO_TRY(auto found, co_await walk_tree(files_));
    for (auto& wrong : load_.oracle_.compare(found)) load_.ring_.violation(std::move(wrong));
    CO_TRY_VOID(co_await judge_counters());
    co_await files_.stop();
    mounted_ = false;

    const Time until = runtime_.now() + kCleanMax;
    for (;;) {
      CO_TRY(auto left, co_await left_over(found));
      if (left.empty()) break;
      if (runtime_.now() >= until) {
        load_.ring_.violation("left over after everything ended: " + left);
        break;
      }
      co_await runtime_.sleep(kCleanPoll);
    }
    CO_TRY_VOID(co_await judge_blocks(found));
    co_return Result<void>();
  }

  /// I25: what was added under a lock is there; and nobody holds any more.
  awaitable<Result<void>> judge_counters() {
    for (auto& counter : load_.counters_) {
      CO_TRY(auto opened, co_await files_.open(counter.ino, false));
      wire::FileLock lock;
      lock.set_type(wire::FileLock::EXCLUSIVE);
      lock.set_owner(1);
      // Of mounts that are no more, until their sessions have expired.
      CO_TRY_VOID(co_await files_.lock(opened.handle, lock, std::make_shared<Interruption>()));
      CO_TRY(auto bytes, co_await files_.read(opened.handle, counter.offset, Counter::kDigits));
      co_await files_.release(opened.handle);
      auto value = Counter::parse(bytes.view());
      if (!value || *value < counter.added || *value > counter.added + counter.in_doubt)
        load_.ring_.violation(fmt::format("I25: a counter is {} in the end; {} acknowledged, {} in doubt", bytes.view(),
                                          counter.added, counter.in_doubt));
    }
    co_return Result<void>();
  }

  /// I15, orphans, and inodes that no name leads to.
  awaitable<Result<std::string>> left_over(const FoundTree& found) {
    std::map<ArcNumber, std::size_t> named;
    for (const auto& [ino, node] : found.nodes) ++named[client_.arc_of_ino(ino)];
    std::string left;
    for (ArcNumber arc = 0; arc < client_.arcs().count(); ++arc) {
      wire::Query transactions, outbox, usage, sessions;
      transactions.mutable_list_transactions();
      outbox.mutable_list_outbox()->set_entries_max(100);
      usage.mutable_arc_usage();
      sessions.mutable_list_sessions();
      CO_TRY(auto under_way, co_await client_.query(arc, std::move(transactions)));
      CO_TRY(auto chores, co_await client_.query(arc, std::move(outbox)));
      CO_TRY(auto inodes, co_await client_.query(arc, std::move(usage)));
      CO_TRY(auto open, co_await client_.query(arc, std::move(sessions)));
      if (under_way.coordinated_size() > 0)
        left += fmt::format(" arc {}: {} transactions", arc, under_way.coordinated_size());
      if (under_way.intents_size() > 0) left += fmt::format(" arc {}: {} intents", arc, under_way.intents_size());
      if (chores.outbox_size() > 0)
        left += fmt::format(" arc {}: {} orphans or blocks to delete", arc, chores.outbox_size());
      // Those of other arcs' sessions are fenced when somebody looks again; those opened here must be closed.
      auto silent =
          std::ranges::count_if(open.sessions(), [&](auto session) { return client_.arc_of_ino(session) == arc; });
      if (silent > 0) left += fmt::format(" arc {}: {} open sessions", arc, silent);
      if (inodes.inodes() != named[arc])
        left += fmt::format(" arc {}: {} inodes, {} with a name", arc, inodes.inodes(), named[arc]);
    }
    co_return left;
  }

  awaitable<Result<void>> judge_blocks(const FoundTree& found) {
    std::set<std::string> named;
    for (const auto& [ino, node] : found.nodes) {
      if (node.attr.type() != wire::FILE_REGULAR) continue;
      wire::Query query;
      query.mutable_read_map()->set_ino(ino);
      query.mutable_read_map()->set_length(node.attr.size());
      CO_TRY(auto map, co_await client_.query(client_.arc_of_ino(ino), std::move(query)));
      for (const auto& extent : map.extents()) named.insert(extent.block());
    }
    CO_TRY_VOID(co_await read_spoilt(named));
    // At the latest once missing copies have been compared, and garbage has been looked for.
    std::string wrong;
    for (int look = 0; look < kBlockLooks; ++look) {
      wrong = lost(named) + lacking(named) + garbage(named);
      if (wrong.empty()) co_return Result<void>();
      co_await runtime_.sleep(1s);
    }
    load_.ring_.violation(std::move(wrong));
    co_return Result<void>();
  }

  /// I20: what is named has not been deleted.
  std::string lost(const std::set<std::string>& named) {
    std::set<std::string> held;
    for (std::size_t i = 0; i < load_.ring_.node_count(); ++i)
      if (const auto* node = load_.ring_.node(i))
        for (auto arc : node->blocks()->arcs())
          for (auto& block : node->blocks()->list(arc)) held.insert(std::move(block.id));
    std::string text;
    for (const auto& block : named)
      if (!held.contains(block)) text += " " + hex(block);
    return text.empty() ? "" : "I20: blocks that are named are held nowhere:" + text + "; ";
  }

  /// I19: whoever should hold a block that is named has it.
  std::string lacking(const std::set<std::string>& named) {
    std::string text;
    for (const auto& block : named) {
      const auto arc = client_.arc_of_block(block);
      for (auto i : load_.ring_.holders(arc))
        if (const auto* node = load_.ring_.node(i);
            node != nullptr && (!node->blocks()->length_of(arc, block) || !load_.ring_.blocks().whole(i, arc, block)))
          text += fmt::format(" {} (arc {}) at node {}", hex(block), arc, i);
    }
    return text.empty() ? "" : "I19: blocks that are named are not held:" + text + "; ";
  }

  /// I21: all sessions but the auditor's are closed by now, and that one wrote nothing.
  std::string garbage(const std::set<std::string>& named) {
    std::string text;
    for (std::size_t i = 0; i < load_.ring_.node_count(); ++i)
      if (const auto* node = load_.ring_.node(i))
        for (auto arc : node->blocks()->arcs())
          for (const auto& block : node->blocks()->list(arc))
            if (!named.contains(block.id)) text += fmt::format(" {} (arc {}) at node {}", hex(block.id), arc, i);
    return text.empty() ? "" : "I21: blocks that nothing names are held:" + text + "; ";
  }

  /// Copies that nobody has looked at are bad still; a scrub would come by within a week. Whoever is asked for such a
  /// one must notice, and have it mended.
  awaitable<Result<void>> read_spoilt(const std::set<std::string>& named) {
    auto& ring = load_.ring_;
    for (const auto& block : named) {
      const auto arc = client_.arc_of_block(block);
      for (auto i : ring.holders(arc)) {
        if (ring.node(i) == nullptr || ring.blocks().whole(i, arc, block)) continue;
        Request request;
        auto& get = *request.header.mutable_get_block();
        get.set_arc(arc);
        get.set_block(block);
        get.set_length(kBlockBytesMax);
        get.set_here(true);
        auto reply = co_await client_.call(ring.host(i).endpoint(), std::move(request), kClientCallTimeout);
        if (reply && reply->header.error() == 0)
          ring.violation(fmt::format("node {} hands out a bad copy of block {}", i, hex(block)));
      }
    }
    co_return Result<void>();
  }

  Workload& load_;
  Runtime& runtime_;
  RingClient client_;
  FileSystem files_;
  bool mounted_ = false, done_ = false;
};

// ---- Workload ----

Workload::Workload(RingWorld& ring, WorkloadOptions options) : ring_(ring), options_(options) {}

Workload::~Workload() {
  // Their programs use this.
  if (vanisher_) vanisher_->end();
  for (auto* client : clients_)
    if (client->alive()) client->crash();
  ring_.world().run_for(1ns);
}

void Workload::prepare() {
  for (std::size_t i = 0; i < options_.clients; ++i) {
    auto& host = ring_.world().add_host({.program = [this, i](Runtime& runtime, Transport& transport) {
      return std::make_unique<Mount>(*this, static_cast<std::uint32_t>(i), runtime, transport);
    }});
    clients_.push_back(&host);
    host.start();
    if (!ring_.world().run_until([&] { return ready_ > i; }, kPrepareMax))
      ring_.violation("a mount on a whole ring does not begin");
  }
  vanisher_ = std::make_unique<Vanisher>(*this, 0);
  vanisher_->prepare();
  if (options_.vanishes) vanisher_->begin();
  working_ = options_.clients;
  begun_ = true;
}

void Workload::finish() {
  stopping_ = true;
  vanisher_->end();
  if (!ring_.world().run_until([&] { return working_ == 0; }, kFinishMax))
    ring_.violation("some operation does not end, or some mount");
}

void Workload::verify() {
  auto& host = ring_.world().add_host({.program = [this](Runtime& runtime, Transport& transport) {
    return std::make_unique<Auditor>(*this, runtime, transport);
  }});
  clients_.push_back(&host);
  host.start();
  if (!ring_.world().run_until([&] { return host.program_as<Auditor>().done(); }, 3 * kCleanMax))
    ring_.violation("the audit does not end");
  auto verdict = check_linearizable(history_);
  if (verdict.outcome == Verdict::Outcome::violated) ring_.violation("not linearizable: " + verdict.explanation);
  if (verdict.outcome == Verdict::Outcome::gave_up) ++registers_given_up_;
}

std::uint64_t Workload::added() const {
  std::uint64_t sum = 0;
  for (const auto& counter : counters_) sum += counter.added;
  return sum;
}

std::uint64_t Workload::vanished() const {
  return vanisher_->deaths();
}

std::uint64_t Workload::failed() const {
  std::uint64_t all = 0;
  for (const auto& [code, count] : failures_) all += count;
  return all;
}

std::string Workload::counts() const {
  auto text = fmt::format("{} ok", ok_);
  for (const auto& [code, count] : failures_) text += fmt::format(", {} {}", count, name_of(code));
  if (!first_failure_.empty()) text += ", first " + first_failure_;
  return text;
}

void Workload::took(std::string_view what, Duration time) {
  if (time <= longest_) return;
  if (options_.call_max != Duration::zero() && time > options_.call_max)
    ring_.violation(fmt::format("{} took {} ms", what, time / 1ms));
  longest_ = time;
}

bool Workload::judge(std::string_view what, Errc code, const std::string& context) {
  if (code == Errc::ok) {
    ++ok_;
    return true;
  }
  if (code == Errc::cancelled) return false;  // Its mount was killed meanwhile.
  ++failures_[code];
  auto failure = fmt::format("{} failed: {}: {}", what, name_of(code), context);
  ring_.world().note(failure);
  if (first_failure_.empty()) first_failure_ = fmt::format("at {}: {}", ring_.time_text(), failure);
  if (answered_by_tree(code))
    ring_.violation(fmt::format("{} under names of one's own is answered with {}: {}", what, name_of(code), context));
  return false;
}

}  // namespace chordfs
