"""The writers of a soak as processes, and what their logs say while they run."""
import json
import os
import subprocess
import sys
import time

from ring import Failure, start

LONG = 3.0  # Seconds. A call that takes longer is told of.
here = os.path.dirname(os.path.abspath(__file__))


class Writer:
    def __init__(self, name, mount, other, outside, seed):
        self.name = name
        self.manifest = f"{outside}/{name}.manifest"
        self.reads = f"{outside}/{name}.reads"
        self.errors = f"{outside}/{name}.errors"
        self.read_to = 0
        self.begun = None  # Its last operation.
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
        return [json.loads(line) for line in data.splitlines()]


class Writers:
    """`count` on each mount. What they did, and what of it, `calm`, while at most one node was disturbed."""

    def __init__(self, mounts, outside, count, seed, say):
        self.acked = self.failed = self.failed_reads = self.calm_errors = self.lost = 0
        self.longest = self.calm_longest = (0.0, "none")
        self.say = say
        self.all = []
        for number in range(count * len(mounts)):
            mount, other = mounts[number % 2], mounts[(number + 1) % 2]
            self.all.append(Writer(f"writer-{number}", mount, other, outside, seed * 100 + number))

    def read_logs(self, calm):
        for writer in self.all:
            for entry in writer.news():
                if "op" in entry:
                    writer.begun = entry
                elif entry["done"] != "wrong":
                    self._take(writer, entry, calm)

    def _take(self, writer, entry, calm):
        done, error, took = entry["done"], entry.get("why"), entry.get("took", 0.0)
        what = "read" if done == "read" else writer.begun["op"]
        self.acked += done == "acked"
        self.failed += done == "failed"
        self.failed_reads += done == "read" and error is not None
        self.longest = max(self.longest, (took, what))
        if calm:
            self.calm_errors += error is not None
            self.calm_longest = max(self.calm_longest, (took, what))
        if error or took > LONG:
            self.say(f"{writer.name}: {what} {error or 'done'} after {took} s{' WHILE AT MOST ONE WAS DISTURBED' if calm else ''}",
                     detail=True)

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
        self.read_logs(calm=False)

    def reads(self):
        """How many succeeded, of all that have ended well."""
        total = 0
        for writer in self.all:
            if os.path.exists(writer.reads):
                with open(writer.reads, encoding="ascii") as f:
                    total += json.load(f)["reads"]
        return total

    def kill(self):
        for writer in self.all:
            if writer.process.poll() is None:
                writer.process.kill()
        end = time.monotonic() + 10  # One in the middle of a call goes when its mount does.
        while time.monotonic() < end and any(writer.process.poll() is None for writer in self.all):
            time.sleep(0.05)
