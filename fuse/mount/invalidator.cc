#include "fuse/mount/invalidator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <csignal>
#include <fstream>

#include "proto/base/check.h"

namespace chordfs::mount {

namespace {
/// How often we look whether a page is locked, and whether requests came that lock others.
constexpr Duration kLookEvery = 2ms;
/// A page may be locked for a moment by the kernel alone.
constexpr int kLooks = 2;

std::uint64_t page_bytes() {
  static const auto bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}
}  // namespace

bool waits_uninterruptibly(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread));
  std::string line;
  std::getline(file, line);
  // "NUMBER (NAME) STATE …", and a name may have anything in it.
  const auto name_end = line.rfind(')');
  return name_end != std::string::npos && line.compare(name_end, 4, ") D ") == 0;
}

Invalidator::~Invalidator() {
  CHECK(threads_.empty(), "stop() was not called");
}

void Invalidator::start(Kernel kernel) {
  kernel_ = std::move(kernel);
  ending_ = false;
}

// ---- What is locked ----

Invalidator::Locked::~Locked() {
  if (!owner_) return;
  file_->second.locked.erase(range_);
  owner_->let_go(file_);
}

void Invalidator::let_go(Files::iterator file) {
  if (file->second.locked.empty() && file->second.drops == 0) files_.erase(file);
}

Invalidator::Locked Invalidator::lock(Ino ino, Range range) {
  auto file = files_.try_emplace(ino).first;
  ++file->second.arrivals;
  return {*this, file, file->second.locked.insert(file->second.locked.end(), range)};
}

Invalidator::Locked Invalidator::reading(Ino ino, std::uint64_t offset, std::uint64_t size) {
  return lock(ino, {offset, offset + size, true});
}

Invalidator::Locked Invalidator::writing(Ino ino, std::uint64_t offset, std::uint64_t size, bool back) {
  const auto end = offset + size, page = end == 0 ? 0 : (end - 1) / page_bytes() * page_bytes();
  if (back) return lock(ino, {offset, page + page_bytes(), true});
  if (offset <= page && end == page + page_bytes()) return {};
  return lock(ino, {page, page + page_bytes(), false});
}

// ---- Dropping ----

Invalidator::Jobs Invalidator::begin(Ino ino, const File& file) {
  Jobs jobs;
  std::vector<Range> locked(file.locked.begin(), file.locked.end()), others;
  std::ranges::sort(locked, {}, &Range::begin);
  std::uint64_t from = 0;
  for (const auto& range : locked) {
    if (range.begin > from) others.push_back({from, range.begin});
    from = std::max(from, range.end);
    const bool read_too = std::ranges::any_of(
        locked, [&](const Range& other) { return other.surely && other.begin < range.end && range.begin < other.end; });
    if (!range.surely && !read_too) jobs.push_back(begin(ino, {range}, false));
  }
  others.push_back({from, 0});
  jobs.push_back(begin(ino, std::move(others), false));
  return jobs;
}

bool Invalidator::is_over(const Jobs& jobs) {
  return std::ranges::all_of(jobs, [&](const auto& job) {
    if (job->done) return true;
    if (job == jobs.back()) return false;
    const pid_t thread = job->thread;
    job->waits = thread != 0 && kernel_.waits(thread) ? job->waits + 1 : 0;
    return job->waits >= kLooks;
  });
}

awaitable<void> Invalidator::drop_pages(Ino ino) {
  const auto file = files_.try_emplace(ino).first;
  struct Hold {
    Invalidator& owner;
    Files::iterator file;
    ~Hold() {
      --file->second.drops;
      owner.let_go(file);
    }
  } hold{*this, file};
  ++file->second.drops;
  for (;;) {
    if (ending_) co_return;
    const auto arrivals = file->second.arrivals;
    const auto jobs = begin(ino, file->second);
    // A request that came since may be what we wait for: then without its pages.
    do {
      if (is_over(jobs)) co_return;
      co_await progress_.wait_for(runtime_, kLookEvery);
    } while (file->second.arrivals == arrivals || jobs.back()->done);
  }
}

void Invalidator::drop_pages_later(Ino ino) {
  if (ending_) return;
  auto [running, begun] = later_.try_emplace(ino, false);
  running->second = !begun;
  if (begun) begin(ino, {{}}, true);
}

// ---- Threads ----

std::shared_ptr<Invalidator::Job> Invalidator::begin(Ino ino, std::vector<Range> ranges, bool later) {
  auto job = std::make_shared<Job>();
  job->ino = ino;
  job->ranges = std::move(ranges);
  job->later = later;
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(job);
    if (idle_ < jobs_.size() && threads_.size() < kInvalidatorThreads) threads_.emplace_back([this] { run(); });
  }
  something_.notify_one();
  return job;
}

void Invalidator::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    something_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) break;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job->thread = gettid();
    for (const auto& range : job->ranges) kernel_.drop(job->ino, range.begin, range.end);
    asio::post(runtime_.executor(), [this, job] { finished(*job); });
    lock.lock();
  }
  asio::post(runtime_.executor(), [this] {
    ++ended_;
    progress_.notify_all();
  });
}

void Invalidator::finished(Job& job) {
  job.done = true;
  progress_.notify_all();
  if (!job.later) return;
  auto running = later_.find(job.ino);
  if (std::exchange(running->second, false) && !ending_)
    begin(job.ino, {{}}, true);
  else
    later_.erase(running);
}

awaitable<void> Invalidator::stop() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(ending_, true)) co_return;
  }
  something_.notify_all();
  while (ended_ < threads_.size()) co_await progress_.wait();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace chordfs::mount
