"""Scenarios of posix_basics.py: which error comes first, limits, who may do what to whom, and listings under way."""
import os
import resource
import shutil
import signal
import stat
import subprocess
import time

from posix_calls import DirectoryStream, as_user, attempt, facts, fallocate, in_child, kind, read, write
from posix_scenarios import changed, scenario, scenario_of_root

OWNER, OTHER, THIRD = 1001, 1002, 1003


# ---- Limits ----

@scenario
def file_size_limit():
    limit = 10000

    def limited(ignore, call):
        def run():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ignore else signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return call()
        return run

    for ignore in (True, False):
        for size in (0, limit - 1, limit, limit + 1000):
            write("f", bytes(size))
            for label, call in {
                    "write": lambda: os.write(os.open("f", os.O_WRONLY), bytes(100)),
                    "over the limit": lambda: os.pwrite(os.open("f", os.O_WRONLY), bytes(200), limit - 100),
                    "at the limit": lambda: os.pwrite(os.open("f", os.O_WRONLY), b"x", limit),
                    "nothing at the limit": lambda: os.pwrite(os.open("f", os.O_WRONLY), b"", limit),
                    "append": lambda: os.write(os.open("f", os.O_WRONLY | os.O_APPEND), bytes(100)),
                    "truncate to it": lambda: os.truncate("f", limit), "truncate over it": lambda: os.truncate("f", limit + 1),
                    "truncate below": lambda: os.truncate("f", 10),
                    "allocate": lambda: fallocate(os.open("f", os.O_WRONLY), 0, 0, limit + 1)}.items():
                yield f"{ignore} {size} {label}", (in_child(limited(ignore, call)), os.stat("f").st_size)


@scenario
def offsets():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    largest = 2**63 - 1
    for label, call in {
            "pread": lambda: os.pread(fd, 1, -1), "pwrite": lambda: os.pwrite(fd, b"x", -1),
            "lseek": lambda: os.lseek(fd, -1, os.SEEK_SET), "lseek from the end": lambda: os.lseek(fd, -1, os.SEEK_END),
            "allocate": lambda: fallocate(fd, 0, -1, 10), "allocate nothing": lambda: fallocate(fd, 0, 0, 0),
            "allocate less": lambda: fallocate(fd, 0, 0, -5), "allocate beyond": lambda: fallocate(fd, 0, largest, 10),
            "pread at the largest": lambda: os.pread(fd, 10, largest), "no whence": lambda: os.lseek(fd, 0, 99),
            "punch without keeping": lambda: fallocate(fd, 2, 0, 10), "unknown mode": lambda: fallocate(fd, 1 << 20, 0, 10),
    }.items():
        yield label, attempt(call)
    yield "of nothing", (os.write(fd, b""), facts("f"), os.read(fd, 0))
    reader = os.open("f", os.O_RDONLY)
    yield "without the right", (attempt(os.pwrite, reader, b"", 0), attempt(fallocate, reader, 0, 0, 1), attempt(os.ftruncate, reader, 0))
    appending = os.open("f", os.O_RDWR | os.O_APPEND)
    yield "append at an offset", (os.pwrite(appending, b"abc", 100), read("f"), os.lseek(appending, 0, os.SEEK_CUR))
    yield "append moves the position", (os.write(appending, b"de"), os.lseek(appending, 0, os.SEEK_CUR))
    os.mkdir("d")
    directory = os.open("d", os.O_RDONLY)
    yield "a directory", [attempt(call) for call in (
        lambda: os.pread(directory, 10, 0), lambda: os.write(directory, b"x"), lambda: os.ftruncate(directory, 0),
        lambda: fallocate(directory, 0, 0, 10), lambda: os.fsync(directory), lambda: os.fdatasync(directory))]
    for one in (fd, reader, appending, directory):
        os.close(one)


@scenario
def symbolic_link_chains():
    write("end", b"reached")
    os.mkdir("dir")
    before, directory = "end", "dir"
    for number in range(42):
        os.symlink(before, f"s{number}")
        os.symlink(directory, f"t{number}")
        before, directory = f"s{number}", f"t{number}"
    for number in (0, 38, 39, 40, 41):
        yield f"{number}", (attempt(read, f"s{number}"), attempt(os.listdir, f"t{number}"), attempt(os.stat, f"t{number}/../end") != "",
                            attempt(os.chmod, f"s{number}", 0o600), attempt(os.truncate, f"s{number}", 7),
                            attempt(write, f"t{number}/new"), kind(f"s{number}"))
    os.symlink("self", "self")
    for label, call in {
            "open": lambda: read("self"), "create": lambda: write("self"), "mkdir": lambda: os.mkdir("self"),
            "below": lambda: os.mkdir("self/x"), "chmod": lambda: os.chmod("self", 0o600), "unlink below": lambda: os.unlink("self/x"),
            "rename into": lambda: os.rename("end", "self/x"), "link": lambda: os.link("self", "x", follow_symlinks=True),
            "chdir": lambda: os.chdir("self"), "unlink": lambda: os.unlink("self")}.items():
        yield f"itself: {label}", attempt(call)


# ---- Which error comes first ----

def calls_on(path):
    return {
        "stat": lambda: os.lstat(path).st_size, "open": lambda: os.close(os.open(path, os.O_RDONLY)),
        "create": lambda: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
        "exclusive": lambda: os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
        "mkdir": lambda: os.mkdir(path), "rmdir": lambda: os.rmdir(path), "unlink": lambda: os.unlink(path),
        "symlink": lambda: os.symlink("x", path), "mkfifo": lambda: os.mkfifo(path), "link to": lambda: os.link("plain", path),
        "link from": lambda: os.link(path, "new-link"), "rename to": lambda: os.rename("plain", path),
        "rename from": lambda: os.rename(path, "new-name"), "chmod": lambda: os.chmod(path, 0o600),
        "truncate": lambda: os.truncate(path, 0), "utime": lambda: os.utime(path), "readlink": lambda: os.readlink(path),
        "list": lambda: sorted(os.listdir(path)), "getxattr": lambda: os.getxattr(path, "user.absent"),
        "removexattr": lambda: os.removexattr(path, "user.absent")}


def world():
    """What the calls meet, made anew for each."""
    write("plain", b"0123456789")
    for directory, mode in (("open", 0o777), ("readable", 0o755), ("closed", 0o700), ("searchable", 0o711)):
        os.makedirs(f"{directory}/full/inside")
        os.mkdir(f"{directory}/empty")
        write(f"{directory}/file")
        os.symlink("file", f"{directory}/link")
        os.chmod(directory, mode)


def take_away():
    for name in os.listdir("."):
        if os.path.isdir(name) and not os.path.islink(name):
            shutil.rmtree(name)
        else:
            os.unlink(name)


@scenario_of_root
def precedence():
    long = "n" * 256
    os.chmod(".", 0o777)
    world()
    for directory in ("open", "readable", "closed", "searchable", "absent", "plain", "plain/below", long, "open/link"):
        for name in ("file", "empty", "full", "link", "absent", "file/", "empty/", "absent/", ".", "..", long, f"{long}/x", "file/x", ""):
            for label in calls_on(""):
                path = f"{directory}/{name}"
                answer = as_user(calls_on(path)[label], OTHER, OTHER)
                if label != "stat" or not answer.isdigit():
                    yield f"{label} {path.replace(long, 'long')}", answer
                if not answer.startswith("'E") and label not in ("stat", "open", "list", "readlink"):
                    take_away()
                    world()


@scenario
def path_length():
    here = len(os.getcwd())
    for length in (4094, 4095, 4096, 5000):
        for start in ("./" * 3000, os.getcwd() + "/" + "./" * 3000):
            path = start[:length - 1] + "f" if start[length - 2] == "/" else start[:length - 2] + "/f"
            yield f"{length} {start[0]}", [(label, attempt(call)) for label, call in calls_on(path).items() if label in ("mkdir", "rmdir", "stat", "symlink", "unlink")]
    yield "here", here > 0


@scenario
def busy_programs():
    shutil.copy("/bin/sleep", "program")
    with subprocess.Popen(["./program", "60"]) as running:
        while os.readlink(f"/proc/{running.pid}/exe") != os.path.realpath("program"):
            time.sleep(0.001)
        yield "open to write", attempt(os.open, "program", os.O_WRONLY)
        yield "truncate", attempt(os.truncate, "program", 0)
        yield "read, rename, unlink", (len(read("program")) > 1000, attempt(os.rename, "program", "other"), attempt(os.unlink, "other"))
        yield "goes on", running.poll()
        running.kill()
    fd = os.open("script", os.O_CREAT | os.O_WRONLY, 0o755)
    os.write(fd, b"#!/bin/sh\n")
    yield "being written", attempt(subprocess.call, ["./script"])
    os.close(fd)
    yield "written", attempt(subprocess.call, ["./script"])


# ---- Who may ----

@scenario_of_root
def sticky_directories():
    for directory_owner in (OWNER, OTHER):
        for mode in (0o1777, 0o1757, 0o777):
            for owner in (OWNER, OTHER, THIRD):
                os.mkdir("sticky")
                os.mkdir("outside")
                os.chmod("outside", 0o777)
                os.chown("sticky", directory_owner, directory_owner)
                os.chmod("sticky", mode)
                for name in ("f", "g", "h", "target"):
                    write(f"sticky/{name}")
                    os.chown(f"sticky/{name}", owner, owner)
                    os.chmod(f"sticky/{name}", 0o666)
                for name in ("d", "e"):
                    os.mkdir(f"sticky/{name}")
                    os.chown(f"sticky/{name}", owner, owner)
                    os.chmod(f"sticky/{name}", 0o777)
                for name in ("file", "over"):
                    write(f"outside/{name}")
                    os.chown(f"outside/{name}", OWNER, OWNER)
                for label, call in {
                        "rename within": lambda: os.rename("sticky/f", "sticky/f2"), "rename out": lambda: os.rename("sticky/g", "outside/g"),
                        "rename over": lambda: os.rename("outside/over", "sticky/target"), "rename in": lambda: os.rename("outside/file", "sticky/in"),
                        "move a directory": lambda: os.rename("sticky/e", "outside/e"), "rmdir": lambda: os.rmdir("sticky/d"),
                        "unlink": lambda: os.unlink("sticky/h"), "create": lambda: write("sticky/mine"),
                        "write": lambda: os.close(os.open("sticky/h", os.O_WRONLY)),
                        "create what is there": lambda: os.close(os.open("sticky/target", os.O_CREAT | os.O_WRONLY))}.items():
                    yield f"{mode:o} of {directory_owner}, entries of {owner}: {label}", as_user(call, OWNER, OWNER)
                shutil.rmtree("sticky")
                shutil.rmtree("outside")


@scenario_of_root
def set_id_bits():
    for mode in (0o6777, 0o6766, 0o2767, 0o4777, 0o2777, 0o6666):
        for label, call in {
                "write": lambda: os.pwrite(os.open("f", os.O_WRONLY), b"x", 0), "append": lambda: write("f", b"x", "ab"),
                "write nothing": lambda: os.pwrite(os.open("f", os.O_WRONLY), b"", 0),
                "truncate": lambda: os.truncate("f", 3), "truncate to the same": lambda: os.truncate("f", 8),
                "open to truncate": lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC)),
                "allocate": lambda: fallocate(os.open("f", os.O_WRONLY), 0, 0, 100),
                "punch": lambda: fallocate(os.open("f", os.O_WRONLY), 3, 0, 4),
                "chown nothing": lambda: os.chown("f", -1, -1), "chown to the same": lambda: os.chown("f", OWNER, -1),
                "chgrp to the same": lambda: os.chown("f", -1, OWNER), "chmod": lambda: os.chmod("f", mode),
                "utime": lambda: os.utime("f"), "link": lambda: os.link("f", "g"), "rename": lambda: os.rename("f", "f2"),
                "setxattr": lambda: os.setxattr("f", "user.x", b"1")}.items():
            for who, uid, gid in (("root", 0, 0), ("its owner", OWNER, OWNER), ("its owner in another group", OWNER, OTHER), ("another", OTHER, OTHER)):
                os.mkdir("case")
                os.chmod("case", 0o777)
                os.chdir("case")
                write("f")
                os.chown("f", OWNER, OWNER)
                os.chmod("f", mode)
                answer = as_user(call, uid, gid)
                yield f"{mode:o} {label} by {who}", (answer, facts("f2" if os.path.lexists("f2") else "f"))
                os.chdir("..")
                shutil.rmtree("case")


@scenario_of_root
def setting_times():
    for mode in (0o600, 0o666, 0o444):
        for who, uid in (("owner", OWNER), ("another", OTHER)):
            for label, option in {"now": [], "atime now": ["-a"], "mtime now": ["-m"], "a time": ["-d", "@5"],
                                  "atime": ["-a", "-d", "@5"], "mtime": ["-m", "-d", "@5"]}.items():
                write("f")
                os.chown("f", OWNER, OWNER)
                os.chmod("f", mode)
                os.utime("f", (1, 2))
                code = as_user(lambda: subprocess.call(["touch", "-c", *option, "f"], stderr=subprocess.DEVNULL), uid, uid)
                status = os.stat("f")
                yield f"{mode:o} {label} by {who}", (code, min(status.st_atime, 10), min(status.st_mtime, 10))
                os.unlink("f")


@scenario
def what_leaves_times_alone():
    write("f")
    os.link("f", "g")
    os.mkdir("d")
    fd = os.open("f", os.O_RDWR)
    for label, do in {
            "write of nothing": lambda: os.write(fd, b""), "rename onto its other name": lambda: os.rename("f", "g"),
            "rename onto itself": lambda: os.rename("f", "f"), "chmod to the same": lambda: os.chmod("f", stat.S_IMODE(os.stat("f").st_mode)),
            "chown nothing": lambda: os.chown("f", -1, -1), "truncate to the same": lambda: os.truncate("f", 8),
            "ftruncate to the same": lambda: os.ftruncate(fd, 8), "open": lambda: os.close(os.open("f", os.O_RDWR)),
            "open to create": lambda: os.close(os.open("f", os.O_RDWR | os.O_CREAT)), "fsync": lambda: os.fsync(fd),
            "failed unlink": lambda: attempt(os.unlink, "d"), "failed link": lambda: attempt(os.link, "f", "g"),
            "failed rename": lambda: attempt(os.rename, "d", "f"), "failed rmdir": lambda: attempt(os.rmdir, "f"),
            "failed truncate": lambda: attempt(os.truncate, "d", 0), "failed setxattr": lambda: attempt(os.setxattr, "f", "user.x", b"1", os.XATTR_REPLACE),
            "allocate within": lambda: fallocate(fd, 0, 0, 4), "allocate kept": lambda: fallocate(fd, 1, 100, 100),
            "punch": lambda: fallocate(fd, 3, 0, 4), "stat": lambda: os.stat("f"), "access": lambda: os.access("f", os.W_OK)}.items():
        yield label, changed([".", "f", "g", "d"], do)
    os.close(fd)


# ---- Listings under way ----

@scenario
def positions_while_entries_come_and_go():
    os.mkdir("d")
    for number in range(600):
        write(f"d/stays-{number:03d}", b"")
        write(f"d/goes-{number:03d}", b"")
    stream = DirectoryStream("d")
    names, positions = [], []
    while (positions.append(stream.tell()), name := stream.read())[1] is not None:
        names.append(name)
    for number in range(600):
        os.unlink(f"d/goes-{number:03d}")
        write(f"d/comes-{number:03d}", b"")
    for at in range(0, len(names), 97):
        stream.seek(positions[at])
        rest = stream.rest()
        steady = [name for name in rest if name.startswith(b"stays")]
        expected = [name for name in names[at:] if name.startswith(b"stays")]
        yield f"from {at}", (steady == expected, len(rest) == len(set(rest)), any(name.startswith(b"goes") for name in rest[-100:]))
    stream.rewind()
    yield "rewound", sorted(stream.rest()) == sorted([b".", b"..", *(os.fsencode(name) for name in os.listdir("d"))])
    stream.close()


@scenario
def listing_while_others_work():
    os.mkdir("d")
    for number in range(300):
        write(f"d/steady-{number:03d}", b"")
    child = os.fork()
    if child == 0:
        for number in range(100000):
            write(f"d/passing-{number % 50}", b"")
            if number % 3 == 0:
                attempt(os.rename, f"d/passing-{number % 50}", f"d/renamed-{number % 40}")
            else:
                attempt(os.unlink, f"d/passing-{(number + 25) % 50}")
        os._exit(0)
    good = True
    for _ in range(20):
        names = [name for name in os.listdir("d") if name.startswith("steady")]
        good = good and len(names) == 300 == len(set(names))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    yield "what stays is listed once", good
    yield "rm -rf", (subprocess.call(["rm", "-rf", "d"]), kind("d"))


@scenario
def two_that_remove():
    for top in range(3):
        for below in range(10):
            os.makedirs(f"t/{top}/{below}")
            for number in range(10):
                write(f"t/{top}/{below}/{number}", b"")
    removers = [subprocess.Popen(["rm", "-rf", "t"], stderr=subprocess.DEVNULL) for _ in range(2)]
    for remover in removers:
        remover.wait()
    subprocess.run(["rm", "-rf", "t"], check=True)
    yield "gone", kind("t")
