"""The writers of a soak as processes, and what their logs say while they run."""
import json
import os
import subprocess
import sys
import time

from ring import Failure, start

here = os.path.dirname(os.path.abspath(__file__))


class Writer:
    def __init__(self, name, mount, other, outside, seed):
        self.name = name
        self.manifest = f"{outside}/{name}.manifest"
        self.reads = f"{outside}/{name}.reads"
        self.errors = f"{outside}/{name}.errors"
        self.read_to = 0
        with open(self.errors, "wb") as errors:
            self.process = start([sys.executable, "-B", f"{here}/writer.py", f"{mount.at}/{name}", f"{other.at}/{name}",
                                  self.manifest, self.reads, str(seed)], errors)

    def news(self):
        """New whole lines of its log."""
        try:
            with open(self.manifest, "rb") as f:
                f.seek(self.read_to)
                data = f.read()
        except FileNotFoundError:
            return []
        data = data[:data.rfind(b"\n") + 1]
        self.read_to += len(data)
        return data.splitlines()


class Writers:
    """`count` on each mount. `unexcused`: errors that came while at most one node was disturbed."""

    def __init__(self, mounts, outside, count, seed):
        self.acked = self.failed = self.unexcused = self.lost = 0
        self.all = []
        for number in range(count * len(mounts)):
            mount, other = mounts[number % 2], mounts[(number + 1) % 2]
            self.all.append(Writer(f"writer-{number}", mount, other, outside, seed * 100 + number))

    def read_logs(self, excused):
        for writer in self.all:
            for line in writer.news():
                if line.endswith(b'"done": "acked"}'):
                    self.acked += 1
                elif b'"done": "failed"' in line:
                    self.failed += 1
                    self.unexcused += not excused

    def must_run(self):
        for writer in self.all:
            if writer.process.poll() is not None:
                with open(writer.errors, encoding="utf-8", errors="replace") as f:
                    raise Failure(f"{writer.name} ended with code {writer.process.returncode}: {f.read()[-1000:]}")

    def stop(self):
        for writer in self.all:
            writer.process.terminate()
        for writer in self.all:
            try:
                code = writer.process.wait(120)
            except subprocess.TimeoutExpired:
                raise Failure(f"{writer.name} does not end: a call hangs") from None
            if code:
                with open(writer.errors, encoding="utf-8", errors="replace") as f:
                    raise Failure(f"{writer.name} ended with code {code}: {f.read()[-1000:]}")
        self.read_logs(excused=True)

    def reads(self):
        """Of all that have ended well."""
        total = {"reads": 0, "failed_reads": 0, "longest": 0.0, "longest_op": ""}
        for writer in self.all:
            if not os.path.exists(writer.reads):
                continue
            with open(writer.reads, encoding="ascii") as f:
                one = json.load(f)
            total["reads"] += one["reads"]
            total["failed_reads"] += one["failed_reads"]
            if one["longest"] > total["longest"]:
                total["longest"], total["longest_op"] = one["longest"], one["longest_op"]
        return total

    def kill(self):
        for writer in self.all:
            if writer.process.poll() is None:
                writer.process.kill()
        end = time.monotonic() + 10  # One in the middle of a call goes when its mount does.
        while time.monotonic() < end and any(writer.process.poll() is None for writer in self.all):
            time.sleep(0.05)
