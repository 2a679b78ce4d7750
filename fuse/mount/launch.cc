#include "fuse/mount/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace chordfs::mount {

namespace {

constexpr std::size_t kMessageBytesMax = 4096;
/// On a terminal, until it serves: a failure to start is one line, not also the log's view of it.
constexpr auto kLevelBeforeServing = spdlog::level::critical;

void print(const std::string& text) {
  fmt::print(stderr, "chordfs-mount: {}\n", text);
}

/// The parent's part: what the child says, or how it ended without a word.
[[noreturn]] void relay(int from_child, pid_t child) {
  std::string message;
  char piece[512];
  ssize_t size;
  while ((size = read(from_child, piece, sizeof piece)) != 0 && message.size() < kMessageBytesMax) {
    if (size > 0)
      message.append(piece, static_cast<std::size_t>(size));
    else if (errno != EINTR)
      break;
  }
  if (message.empty()) {
    int status = 0;
    waitpid(child, &status, 0);
    print(WIFSIGNALED(status) ? fmt::format("ended by signal {} before it served", WTERMSIG(status))
                              : "ended before it served");
    std::_Exit(static_cast<int>(Exit::failed));
  }
  if (message.size() > 1) print(message.substr(1));
  std::_Exit(message.front());
}

void send(int pipe, const std::string& message) {
  // The parent may have been killed: then nobody wants to know.
  [[maybe_unused]] auto written = write(pipe, message.data(), std::min(message.size(), kMessageBytesMax));
  close(pipe);
}

void leave_terminal(const std::string& log_file) {
  setsid();
  [[maybe_unused]] int changed = chdir("/");
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  int out = log_file.empty() ? -1 : open(log_file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  dup2(nothing, STDIN_FILENO);
  dup2(out < 0 ? nothing : out, STDOUT_FILENO);
  dup2(out < 0 ? nothing : out, STDERR_FILENO);
  if (out > STDERR_FILENO) close(out);
  if (nothing > STDERR_FILENO) close(nothing);
}

}  // namespace

Launch Launch::begin(const Options& options) {
  Launch launch;
  launch.log_file_ = options.log_file;
  launch.caller_ = options.caller;
  if (options.foreground) return launch;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  std::fflush(nullptr);
  pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child > 0) {
    close(ends[1]);
    relay(ends[0], child);
  }
  close(ends[0]);
  // Who interrupts the parent means the child, until it serves.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  launch.to_parent_ = ends[1];
  return launch;
}

Launch::Launch(Launch&& other) noexcept
    : caller_(other.caller_),
      to_parent_(std::exchange(other.to_parent_, -1)),
      log_file_(std::move(other.log_file_)),
      serving_(other.serving_) {}

Launch::~Launch() {
  if (to_parent_ >= 0) close(to_parent_);
}

void Launch::serving() {
  serving_ = true;
  if (spdlog::get_level() == kLevelBeforeServing) spdlog::set_level(spdlog::level::info);
  if (to_parent_ < 0) return;
  prctl(PR_SET_PDEATHSIG, 0);
  leave_terminal(log_file_);
  send(std::exchange(to_parent_, -1), std::string(1, static_cast<char>(Exit::ok)));
}

void Launch::failed(const Failure& failure) {
  if (to_parent_ >= 0)
    send(std::exchange(to_parent_, -1), static_cast<char>(exit_code(failure.exit, caller_)) + failure.text);
  else if (serving_)
    spdlog::error("{}", failure.text);
  else
    print(failure.text);
}

Problem start_log(Options& options) {
  try {
    spdlog::sink_ptr sink;
    if (options.log_file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      options.log_file = std::filesystem::absolute(options.log_file).string();
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.log_file);
    }
    auto logger = std::make_shared<spdlog::logger>("chordfs-mount", std::move(sink));
    auto quiet = options.log_file.empty() ? kLevelBeforeServing : spdlog::level::info;
    logger->set_level(options.verbose ? spdlog::level::debug : quiet);
    logger->flush_on(spdlog::level::debug);
    spdlog::set_default_logger(std::move(logger));
    return {};
  } catch (const std::exception& error) {  // spdlog_ex, filesystem_error
    return Failure{Exit::failed, fmt::format("--log-file {}: {}", options.log_file, error.what())};
  }
}

}  // namespace chordfs::mount
