#pragma once
// Invalidator: tells the kernel that pages it has of a file are old.
//
// The kernel waits for pages that are locked, and it keeps them locked while we serve the read or the write of them. So
// that happens on threads of its own; and who gives a lease back cannot wait for such pages: their request may itself
// wait for another mount that waits for us. What keeps them locked is told here (reading(), writing()):
// - Of a read: nobody sees these pages before it is answered, and it is read again if the file was recalled meanwhile
//   (fs::Files::read).
// - Of a write: the kernel keeps one page locked, and only if it is written in part and holds nothing that can be read.
//   Where it does not, the page can be dropped.
// - Of a mapped page that is written back: whoever dropped it waits for that.
//
// Owner: Session. start() when there is a session; stop() while calls are still served. Thread: the Runtime's, except
// what is said of its own. Limits: kInvalidatorThreads; with as many pages locked at once the others wait.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "fuse/fs/ino.h"
#include "proto/base/task.h"

namespace chordfs::mount {

inline constexpr std::size_t kInvalidatorThreads = 64;

class Invalidator {
 public:
  /// The kernel; tests have another one.
  struct Kernel {
    /// Drops the pages of the file from `begin` up to `end` (0: all that follow), in bytes; waits for locked ones.
    std::function<void(Ino ino, std::uint64_t begin, std::uint64_t end)> drop;
    /// Does this thread of ours wait for a page?
    std::function<bool(pid_t thread)> waits;
  };

  explicit Invalidator(Runtime& runtime) : runtime_(runtime) {}
  ~Invalidator();
  Invalidator(const Invalidator&) = delete;

  void start(Kernel kernel);
  /// Returns when no program can read a page of it any more that was there when this was called. (Nothing happens once
  /// it is stopped, or was not started.)
  awaitable<void> drop_pages(Ino ino);
  /// The same, for who cannot wait for it: a program that writes these very pages, and waits for us.
  void drop_pages_later(Ino ino);
  awaitable<void> stop();

 private:
  struct Range {
    std::uint64_t begin = 0, end = 0;
    bool surely = false;  ///< Locked; otherwise perhaps.
  };
  struct File {
    std::list<Range> locked;
    std::uint64_t arrivals = 0;  ///< Of requests that lock pages.
    int drops = 0;               ///< Under way.
  };
  using Files = std::map<Ino, File>;

 public:
  /// A request whose pages are locked; until it has been answered.
  class Locked {
   public:
    Locked() = default;
    Locked(Invalidator& owner, Files::iterator file, std::list<Range>::iterator range)
        : owner_(&owner), file_(file), range_(range) {}
    Locked(Locked&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), file_(other.file_), range_(other.range_) {}
    ~Locked();

   private:
    Invalidator* owner_ = nullptr;
    Files::iterator file_;
    std::list<Range>::iterator range_;
  };
  /// Through the kernel's pages, not past them.
  [[nodiscard]] Locked reading(Ino ino, std::uint64_t offset, std::uint64_t size);
  /// `back`: of a page that a program has written to through memory.
  [[nodiscard]] Locked writing(Ino ino, std::uint64_t offset, std::uint64_t size, bool back);

 private:
  struct Job {
    Ino ino = 0;
    std::vector<Range> ranges;
    bool later = false;
    std::atomic<pid_t> thread = 0;  ///< Once it has begun.
    bool done = false;              ///< The Runtime's thread's.
    int waits = 0;                  ///< For how many looks in a row.
  };
  using Jobs = std::vector<std::shared_ptr<Job>>;

  Locked lock(Ino ino, Range range);
  void let_go(Files::iterator file);
  /// One for all pages that are not locked, and one for each that perhaps is.
  Jobs begin(Ino ino, const File& file);
  bool is_over(const Jobs& jobs);
  std::shared_ptr<Job> begin(Ino ino, std::vector<Range> ranges, bool later);
  void run();
  void finished(Job& job);

  Runtime& runtime_;
  Kernel kernel_;
  Files files_;  ///< With pages locked, or being dropped.
  Signal progress_;
  std::vector<std::thread> threads_;
  std::map<Ino, bool> later_;  ///< Being dropped for nobody; true: once more.
  std::size_t ended_ = 0;      ///< Threads.
  std::mutex mutex_;
  std::condition_variable something_;
  std::deque<std::shared_ptr<Job>> jobs_;  ///< Guarded by mutex_, as are:
  std::size_t idle_ = 0;
  bool ending_ = true;
};

/// Of a thread of this process, as /proc tells.
bool waits_uninterruptibly(pid_t thread);

}  // namespace chordfs::mount
