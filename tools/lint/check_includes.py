#!/usr/bin/env python3
"""Checks over the source text: who includes whom, the doors to the outside, banned words, the layout (style.md, 3).

    check_includes.py [ROOT]      every file that git tracks or would track below ROOT; exit 1 if anything is wrong

Prints `file:line: rule: what to do`, one line each. The tables below are the rules; check_includes_test.py tries each.
"""

import pathlib
import re
import subprocess
import sys

# ---- Who may include whom. A folder may always include itself; tests may include anything. ----

PROTO = ["proto/base", "proto/id", "proto/wire", "proto/rpc", "proto/client"]
DAEMON = ["daemon/ring", "daemon/store", "daemon/tree", "daemon/arc", "daemon/node"]
FUSE = ["fuse/fs", "fuse/mount"]
MAY_INCLUDE = {
    "proto/base": [],
    "proto/id": PROTO[:1],
    "proto/wire": PROTO[:2],
    "proto/rpc": PROTO[:3],
    "proto/client": PROTO[:4],
    "daemon/ring": PROTO,
    "daemon/store": PROTO,
    "daemon/tree": PROTO[:3],
    "daemon/arc": PROTO + ["daemon/ring", "daemon/store"],
    "daemon/node": PROTO + DAEMON,
    "fuse/fs": PROTO,
    "fuse/mount": PROTO + ["fuse/fs"],
    "tools": PROTO + DAEMON + FUSE,
}
# The interface between an arc and what it replicates: the one who implements it must see it, and nothing else of arc.
ALSO = {("daemon/tree", "daemon/arc/state_machine.h"), ("daemon/tree", "daemon/arc/raft/defects.h")}
LIBRARIES = {"chordfs_" + folder.split("/")[1]: folder for folder in PROTO + DAEMON + FUSE} | {"chordfs_sim": "tools"}

# ---- Doors: (rule, where it is open, what is forbidden elsewhere, what to do instead). ----

REAL_DISK = r"daemon/store/(real_\w+|record_engine|file_directory|directory_lock|worker_pool|data_directory|sync_mark)\."
PROGRAMS = r"fuse/mount/|tools/cli/|tools/sim/main|daemon/node/(main|options|identity)"
DOORS = [
    ("socket", r"proto/rpc/|tests/",
     r'#include\s*[<"](boost/asio/(ip/|local/|generic/|steady_timer|system_timer|deadline_timer|basic_waitable_timer)'
     r'|boost/asio\.hpp|boost/beast|sys/(socket|un)\.h|netinet/|arpa/inet\.h|netdb\.h)',
     "sockets and timers live in proto/rpc: use Transport and Runtime"),
    ("file", rf"{REAL_DISK}|{PROGRAMS}|tests/",
     r'#include\s*[<"](fstream|filesystem|fcntl\.h|dirent\.h|sys/file\.h|sys/mman\.h|rocksdb/)'
     r"|\bstd::(filesystem|[io]?fstream)\b|(?<![\w>])::open(at)?\s*\(|\b(fopen|freopen|mkstemp|mkdtemp|opendir)\s*\(",
     "files are opened by the real Disk (daemon/store): use Disk"),
    ("file", rf"{REAL_DISK}|tests/", r'#include\s*[<"]rocksdb/', "RocksDB is seen by the real Disk only: use Disk"),
    ("clock", r"proto/rpc/|tests/", r"\b(steady_clock|system_clock|high_resolution_clock|file_clock|utc_clock)\b"
     r"|\b(clock_gettime|gettimeofday|timerfd_create)\s*\(|(?<![\w.>])(::|std::)?time\s*\(\s*(nullptr|NULL|0|&)",
     "time comes from Runtime: now(), wall_now(), sleep()"),
    ("entropy", r"proto/rpc/", r"\b(random_device|arc4random)\b"
     r"|(?<![\w.>])(s?rand|random_r|rand_r|drand48|getrandom|getentropy|RAND_(priv_)?bytes)\s*\(|/dev/u?random",
     "chance comes from Runtime: random(), below(n)"),
    ("thread", rf"fuse/mount/|{REAL_DISK}|tests/",
     r'#include\s*[<"](thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token|pthread\.h'
     r"|boost/asio/thread_pool\.hpp|boost/thread)"
     r"|\bstd::(jthread|thread|async|mutex|shared_mutex|recursive_mutex|condition_variable)\b|\bpthread_\w+\s*\("
     r"|\b(asio::)?thread_pool\b",
     "one thread owns all state of a node: threads live in fuse/mount and the real Disk"),
    ("libfuse", r"fuse/mount/", r'#include\s*[<"](fuse\.h|fuse_\w+\.h|fuse3/)', "libfuse is seen by fuse/mount only"),
]
COMPILED_DOORS = [(rule, re.compile(where), re.compile(what), instead) for rule, where, what, instead in DOORS]

# ---- Words: (what, where it is looked for: code | text | cmake, what to do instead). ----

WORDS = [
    (r"\basio::detached\b|\bdetached\.hpp\b", "code", "nothing is detached: tasks_.spawn(name, …) of a TaskGroup"),
    (r"(?<![\w.>])assert\s*\(|#include\s*<(cassert|assert\.h)>", "code", "an assertion that stays on: CHECK (proto/base/check.h)"),
    (r"\b(uniform_int|uniform_real|normal|bernoulli|exponential|poisson|geometric|discrete)_distribution\b|\bstd::shuffle\b",
     "code", "not the same in every library: Runtime::below(n)"),
    (r"\busing\s+namespace\s+std\s*;", "code", "write std::"),
    (r"\bsleep_(for|until)\s*\(|(?<![\w.>])(::)?(usleep|nanosleep)\s*\(", "code", "wait for a condition, or Runtime::sleep()"),
    (r"#include\s*<format>|\bstd::format\b", "code", "does not compile with libstdc++ 12: fmt::format"),
    (r"\b(TODO|FIXME|XXX)\b", "text", "finish it, or write an issue"),
    (r"\t", "text", "spaces"),
    (r"\bfile\s*\(\s*GLOB", "cmake", "list the sources"),
]
COMPILED_WORDS = [(re.compile(what), where, instead) for what, where, instead in WORDS]

TOP_LEVEL = {"CMakeLists.txt", "daemon", "fuse", "proto", "tools", "tests", "packaging", "README.md", "LICENSE"}
NAMES_THAT_SAY_NOTHING = {"util", "utils", "common", "misc", "helper", "helpers"}
README_FOLDERS = ("proto", "daemon", "fuse", "tests")
README_LINES_MAX = 40


def folder_of(path):
    """The layer of a path: "proto/base", …, "tools", "tests", or None."""
    parts = path.split("/")
    return parts[0] if parts[0] in ("tools", "tests") else "/".join(parts[:2])


def without_comments(text, keep_strings):
    """C++ text with comments (and the insides of literals, unless keep_strings) blanked, lines where they were."""
    def blank(match):
        token = match.group(0)
        if token.startswith("/"):
            return re.sub(r"[^\n]", " ", token)
        return token if keep_strings else token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                  blank, text, flags=re.S)


def check_include(path, line):
    match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
    if not match:
        return
    target = match.group(1)
    if target.split("/")[0] not in ("proto", "daemon", "fuse", "tools", "tests"):
        yield "include", f'"{target}": include by path from the root, and what is not ours with <>'
        return
    yield from check_uses(path, folder_of(target), target)


def check_uses(path, to, what):
    here = folder_of(path)
    if here == to or here == "tests" or here not in MAY_INCLUDE:
        return
    if to == "tests":
        yield "include", f"{what}: nothing but tests uses tests"
    elif to not in MAY_INCLUDE[here] and (here, what) not in ALSO:
        allowed = ", ".join(MAY_INCLUDE[here]) or "nothing else"
        yield "include", f"{what}: {here} may use {allowed}; move what both need to a lower layer"


def check_cpp(path, text):
    code = without_comments(text, keep_strings=False).split("\n")
    with_strings = without_comments(text, keep_strings=True).split("\n")  # An include's file name is a string.
    if path.endswith(".h") and "#pragma once" not in text:
        yield 1, "header", "begins with #pragma once"
    for number, (bare, line, raw) in enumerate(zip(code, with_strings, text.split("\n")), 1):
        seen = line if line.lstrip().startswith("#") else bare
        for rule, why in check_include(path, line):
            yield number, rule, why
        for rule, where, what, instead in COMPILED_DOORS:
            if not where.match(path) and (found := what.search(seen)):
                yield number, rule, f"{found.group(0).strip()}: {instead}"
        for what, where, instead in COMPILED_WORDS:
            if where != "cmake" and (found := what.search(seen if where == "code" else raw)):
                yield number, "word", f"{found.group(0).strip() or 'tab'}: {instead}"


def check_cmake(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        for what, where, instead in COMPILED_WORDS:
            if where != "code" and (found := what.search(line)):
                yield number, "word", f"{found.group(0).strip() or 'tab'}: {instead}"
        for name in re.findall(r"\bchordfs_\w+", line.split("#")[0]):
            if name in LIBRARIES:
                for rule, why in check_uses(path, LIBRARIES[name], name):
                    yield number, rule, why


def check_file(path, text):
    """Everything that is wrong with one file: (line, rule, what to do)."""
    for part in path.split("/"):
        if part.split(".")[0].lower() in NAMES_THAT_SAY_NOTHING:
            yield 1, "name", f"{part}: a folder or file is named after what it holds"
    if path.endswith((".h", ".cc")):
        yield from check_cpp(path, text)
    elif path.endswith(("CMakeLists.txt", ".cmake")):
        yield from check_cmake(path, text)
    elif path.endswith((".py", ".sh", ".proto")):
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line:
                yield number, "word", "tab: spaces"


def check_layout(paths, read):
    """What is wrong with the set of files: (path, line, rule, what to do)."""
    for top in sorted({path.split("/")[0] for path in paths}):
        if not top.startswith(".") and top not in TOP_LEVEL:
            yield top, 1, "layout", "not a top-level name of style.md, section 3: " + ", ".join(sorted(TOP_LEVEL))
    for folder in README_FOLDERS:
        readme = f"{folder}/README.md"
        if readme not in paths:
            yield readme, 1, "readme", "missing: purpose, main classes, a drawing of its layers"
        elif read(readme).count("\n") > README_LINES_MAX:
            yield readme, README_LINES_MAX, "readme", f"at most {README_LINES_MAX} lines"


def files_below(root):
    """What git tracks or would track; without git, every file that does not lie in a build or hidden folder."""
    listing = subprocess.run(["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "-co", "--exclude-standard"],
                             capture_output=True, check=False)
    if listing.returncode == 0:
        found = {name.decode() for name in listing.stdout.split(b"\0") if name}
    else:
        found = {str(path.relative_to(root)) for path in pathlib.Path(root).rglob("*")}
        found = {path for path in found if not re.match(r"build|\.|.*/\.", path)}
    return sorted(path for path in found if pathlib.Path(root, path).is_file())


def main(root):
    def read(path):
        return pathlib.Path(root, path).read_text(encoding="utf-8", errors="replace")

    paths = files_below(root)
    wrong = list(check_layout(set(paths), read))
    for path in paths:
        # The rules and their self-test have to spell what they forbid.
        if not path.startswith("tools/lint/"):
            wrong += [(path, *found) for found in check_file(path, read(path))]
    for path, line, rule, why in wrong:
        print(f"{path}:{line}: {rule}: {why}")
    print(f"check_includes: {len(paths)} files, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]))
