#!/usr/bin/env python3
"""Each rule of check_includes.py catches a small bad file, and leaves the good one beside it alone."""

import sys
import unittest

import check_includes


def rules(path, text):
    return [rule for _, rule, _ in check_includes.check_file(path, text)]


CODE = "#pragma once\n"

# (rule, path, text): caught.
BAD = [
    ("include", "proto/base/a.h", '#include "proto/id/id.h"'),
    ("include", "proto/id/a.cc", '#include "proto/wire/tree.pb.h"'),
    ("include", "proto/wire/a.cc", '#include "proto/rpc/transport.h"'),
    ("include", "proto/rpc/a.cc", '#include "proto/client/client.h"'),
    ("include", "proto/client/a.cc", '#include "daemon/ring/state.h"'),
    ("include", "daemon/ring/a.cc", '#include "daemon/store/disk.h"'),
    ("include", "daemon/store/a.cc", '#include "daemon/arc/arc.h"'),
    ("include", "daemon/tree/a.cc", '#include "proto/rpc/transport.h"'),
    ("include", "daemon/arc/a.cc", '#include "daemon/tree/tree.h"'),
    ("include", "daemon/node/a.cc", '#include "fuse/fs/filesystem.h"'),
    ("include", "fuse/fs/a.cc", '#include "fuse/mount/errno.h"'),
    ("include", "fuse/mount/a.cc", '#include "daemon/node/options.h"'),
    ("include", "tools/sim/a.cc", '#include "tests/sim/world.h"'),
    ("include", "daemon/arc/a.cc", '#include "arc.h"'),
    ("include", "daemon/arc/CMakeLists.txt", "chordfs_library(chordfs_arc DEPENDS chordfs_store chordfs_tree)"),
    ("socket", "daemon/node/a.cc", "#include <boost/asio/ip/tcp.hpp>"),
    ("socket", "proto/client/a.cc", "#include <boost/asio/steady_timer.hpp>"),
    ("socket", "tools/cli/a.cc", "#include <sys/socket.h>"),
    ("file", "daemon/arc/a.cc", "#include <fstream>"),
    ("file", "daemon/node/node.cc", "#include <filesystem>"),
    ("file", "proto/base/a.cc", 'int f = ::open("/etc/passwd", 0);'),
    ("file", "proto/rpc/a.cc", 'auto* f = fopen("x", "r");'),
    ("file", "daemon/node/main.cc", "#include <rocksdb/db.h>"),
    ("clock", "daemon/ring/a.cc", "auto t = std::chrono::steady_clock::now();"),
    ("clock", "fuse/mount/a.cc", "auto t = std::chrono::system_clock::now();"),
    ("clock", "tools/cli/a.cc", "auto t = time(nullptr);"),
    ("clock", "tools/sim/a.cc", "clock_gettime(CLOCK_MONOTONIC, &t);"),
    ("entropy", "tests/daemon/a.cc", "std::random_device device;"),
    ("entropy", "daemon/node/identity.cc", "RAND_bytes(out, 16);"),
    ("entropy", "proto/base/a.cc", "int x = rand() % 6;"),
    ("entropy", "proto/base/a.cc", "getrandom(buffer, 16, 0);"),
    ("thread", "daemon/node/a.cc", "#include <thread>"),
    ("thread", "daemon/store/store.cc", "std::mutex mutex_;"),
    ("thread", "proto/rpc/a.cc", "auto f = std::async(work);"),
    ("thread", "fuse/fs/a.cc", "pthread_create(&t, nullptr, run, this);"),
    ("libfuse", "fuse/fs/a.cc", "#include <fuse_lowlevel.h>"),
    ("libfuse", "tools/cli/a.cc", "#include <fuse3/fuse.h>"),
    ("word", "daemon/arc/a.cc", "co_spawn(executor, repair(), asio::detached);"),
    ("word", "daemon/arc/a.cc", "assert(x == 1);"),
    ("word", "daemon/arc/a.cc", "#include <cassert>"),
    ("word", "tests/sim/a.cc", "std::uniform_int_distribution<int> dice(1, 6);"),
    ("word", "tests/sim/a.cc", "std::this_thread::sleep_for(1s);"),
    ("word", "tests/sim/a.cc", "using namespace std;"),
    ("word", "tools/cli/a.cc", "std::format(\"{}\", 1);"),
    ("word", "tools/cli/a.cc", "int a;  // TODO: more"),
    ("word", "tools/cli/a.cc", "\tint a;"),
    ("word", "tests/run.sh", "\techo"),
    ("word", "proto/base/CMakeLists.txt", "file(GLOB sources *.cc)"),
    ("name", "proto/util/strings.cc", ""),
    ("name", "daemon/ring/helpers.cc", ""),
    ("header", "proto/base/a.h", "int a();"),
]

# (path, text): left alone.
GOOD = [
    ("proto/client/a.cc", '#include "proto/rpc/transport.h"\n#include "proto/base/result.h"'),
    ("proto/rpc/tcp.cc", "#include <boost/asio/ip/tcp.hpp>\nauto t = std::chrono::steady_clock::now();"),
    ("daemon/ring/a.cc", '#include "proto/client/client.h"'),
    ("daemon/arc/a.cc", '#include "daemon/store/disk.h"\n#include "daemon/ring/state.h"'),
    ("daemon/node/a.cc", '#include "daemon/tree/tree.h"\n#include "daemon/arc/arc.h"'),
    ("daemon/store/real_disk.cc", "#include <rocksdb/db.h>\n#include <thread>\n#include <fcntl.h>"),
    ("daemon/node/main.cc", "#include <filesystem>"),
    ("fuse/mount/session.cc", '#include "fuse/fs/filesystem.h"\n#include <fuse_lowlevel.h>\n#include <thread>'),
    ("fuse/fs/a.cc", "co_return co_await files.open(ino, true);\nauto f = handle->open(1);"),
    ("daemon/tree/tree.h", '#pragma once\n#include "daemon/arc/state_machine.h"'),
    ("daemon/store/record_engine.cc", "#include <rocksdb/db.h>"),
    ("tools/sim/a.cc", '#include "daemon/node/node.h"\n#include "fuse/fs/filesystem.h"'),
    ("tests/sim/a.cc", '#include "tests/sim/world.h"\n#include <filesystem>'),
    ("tests/sim/speed_test.cc", "auto start = std::chrono::steady_clock::now();"),
    ("daemon/arc/a.cc", "// never asio::detached, assert(x) or steady_clock\nstatic_assert(1 == 1);\nCHECK(true);"),
    ("daemon/arc/a.cc", 'log("rand() and std::thread in a text");'),
    ("daemon/arc/a.cc", "auto t = view.time(0), u = node->rand(), v = operand(3), big = 1'000'000;"),
    ("daemon/arc/CMakeLists.txt", "chordfs_library(chordfs_arc DEPENDS chordfs_store)  # not chordfs_tree"),
]


class Rules(unittest.TestCase):
    def test_bad_is_caught(self):
        for rule, path, text in BAD:
            with self.subTest(path=path, text=text):
                text = text if rule == "header" or not path.endswith(".h") else CODE + text
                self.assertIn(rule, rules(path, text))

    def test_good_is_left_alone(self):
        for path, text in GOOD:
            with self.subTest(path=path, text=text):
                self.assertEqual([], rules(path, text))

    def test_layout(self):
        readmes = {f"{folder}/README.md" for folder in check_includes.README_FOLDERS}
        found = list(check_includes.check_layout(readmes | {"src/main.cc", ".clang-format"}, lambda _: ""))
        self.assertEqual([("src", "layout")], [(path, rule) for path, _, rule, _ in found])
        found = list(check_includes.check_layout(readmes - {"fuse/README.md"}, lambda _: "line\n" * 41))
        self.assertEqual({"fuse/README.md", "proto/README.md", "daemon/README.md", "tests/README.md"},
                         {path for path, _, rule, _ in found if rule == "readme"})

    def test_lines_are_those_of_the_file(self):
        found = list(check_includes.check_file("proto/base/a.cc", "/* two\nlines */\nint x = rand();\n"))
        self.assertEqual([(3, "entropy")], [(line, rule) for line, rule, _ in found])


if __name__ == "__main__":
    sys.exit(unittest.main())
