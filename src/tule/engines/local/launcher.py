"""The program beside each local job: starts it with its limits, watches it, keeps its output, writes down how it ended.

Run as ``python -I -S launcher.py FOLDER`` with the job as one line of JSON on its standard input, which then stays
open: a line ``{"kill": seconds}`` ends the job, its closing means that the server is gone and ends the job at once. A
process of its own, because limits must be set between fork and exec, which is unsafe in a server with threads, and
because somebody has to see the end of a job when the server is killed. Standard library only: it must be up in a few
milliseconds.
"""

# pathlib would double the time to start.
# ruff: noqa: PTH104, PTH118, PTH123, PTH208

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import selectors
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

# How often use is measured where a limit needs it, and where it is only reported (seconds).
_WATCH, _LOOK = 0.04, 0.5
# And where more than half of the memory limit is in use.
_WATCH_CLOSELY = 0.01
# Files are counted again after this many times what counting took.
_COUNTING = 20
# Processor seconds that are no work: a process that wakes up now and then to look.
_IDLE_CPU = 0.1
_TAIL = 64 * 1024
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# A stray allocation of much more than the limit fails at once; reservations of native libraries stay possible.
_ADDRESS_SPACE_FACTOR, _ADDRESS_SPACE_MORE = 2, 2 * 2**30
# What a process that could not get memory says last: Python, NumPy, C++.
_NO_MEMORY = (b"MemoryError", b"std::bad_alloc", b"Cannot allocate memory")

# seccomp: for each machine its audit number, and the numbers of socket and io_uring_setup.
_MACHINES = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}


class Log:
    """One captured stream: the beginning in a file at once, the end of a long one kept until the job is over."""

    def __init__(self, path: str, limit: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._room = limit
        self.tail = b""
        self._dropped = 0

    def write(self, data: bytes) -> None:
        kept, rest = data[: self._room], data[self._room :]
        if kept:
            # A full disk must not end the watch over the job.
            with contextlib.suppress(OSError):
                _write_all(self._file, kept)
            self._room -= len(kept)
        tail = self.tail + data
        self.tail = tail[-_TAIL:]
        self._dropped += len(rest)

    def close(self) -> None:
        if self._dropped:
            shown = self.tail[-min(self._dropped, _TAIL) :]
            left_out = self._dropped - len(shown)
            note = f"\n[... {left_out} bytes left out ...]\n".encode() if left_out else b""
            with contextlib.suppress(OSError):
                _write_all(self._file, note + shown)
        os.close(self._file)


class Launcher:
    """One job from its start to its written end."""

    def __init__(
        self, folder: str, job: dict[str, Any], commands: bytes, program: Callable[[dict[str, Any]], NoReturn]
    ) -> None:
        self._folder = folder
        self._job = job
        self._program = program
        self._reason = ""
        self._detail = ""
        self._kill_at: float | None = None
        self._memory = self._peak = 0
        self._status: int | None = None
        self._logs: dict[int, Log] = {}
        self._commands = commands
        self._started = time.monotonic()
        self._kernel_kills = _kernel_kills()
        self._parent = os.getppid()
        self._progress = self._started
        self._cpu_at_progress = 0.0
        self._count_files_at = self._started

    def run(self) -> None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        failed = self._start()
        self._obey_lines()
        self._watch()
        self._end_descendants()
        self._drain()
        for log in self._logs.values():
            log.close()
        _store(os.path.join(self._folder, "exit.json"), self._exit(failed))

    # -- starting

    def _start(self) -> int:
        """Fork the job; returns the read end of the pipe on which it reports that it could not be run."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        failed, failed_end = os.pipe()
        limit = self._job["log_bytes"]
        self._logs = {
            out: Log(os.path.join(self._folder, "stdout"), limit),
            err: Log(os.path.join(self._folder, "stderr"), limit),
        }
        self._pid = os.fork()
        if self._pid == 0:
            _become(self._job, os.getppid(), out_end, err_end, failed_end, self._program)
        for end in (out_end, err_end, failed_end):
            os.close(end)
        for end in (out, err):
            os.set_blocking(end, False)
        return failed

    # -- watching

    def _watch(self) -> None:
        """Until the job's own process ended."""
        wake, wake_end = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._stop("lost", "its launcher was told to end", 0))
        selector = selectors.DefaultSelector()
        os.set_blocking(0, False)
        for descriptor in (0, wake, *self._logs):
            selector.register(descriptor, selectors.EVENT_READ)
        # What runs for a moment is not measured: how much memory it had at most, the kernel tells at its end.
        measured = self._started
        while True:
            self._reap()
            if self._status is not None:
                return
            now = time.monotonic()
            pause = self._pause(now)
            if now - measured >= pause:
                measured = now
                self._measure()
            self._check_time(now)
            for key, _ in selector.select(pause):
                if key.fd == 0:
                    if not self._obey():
                        selector.unregister(0)
                elif key.fd == wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 512)
                elif not self._capture(key.fd):
                    selector.unregister(key.fd)

    def _pause(self, now: float) -> float:
        """Seconds until the next look, if nothing happens before."""
        memory, wall = self._job["memory_bytes"], self._job["wall_seconds"]
        if memory is not None and self._memory > memory / 2:
            return _WATCH_CLOSELY
        if memory is not None or self._job["cpu_seconds"] is not None or self._kill_at is not None:
            return _WATCH
        pause = _LOOK if wall is None else max(0.0, min(_LOOK, self._started + wall - now))
        idle = self._job["idle_seconds"]
        return pause if idle is None else min(pause, idle / 4)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._status = status

    def _obey(self) -> bool:
        """Read the server's line; False when there is nothing more to come."""
        try:
            data = os.read(0, 4096)
        except BlockingIOError:
            return True
        if not data:
            self._stop("lost", "the server stopped while it was running", 0)
            return False
        self._commands += data
        self._obey_lines()
        return True

    def _obey_lines(self) -> None:
        while b"\n" in self._commands:
            line, self._commands = self._commands.split(b"\n", 1)
            self._stop("cancelled", "it was cancelled", float(json.loads(line)["kill"]))

    def _capture(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return True
        self._logs[descriptor].write(data)
        self._progress = time.monotonic()
        return bool(data)

    def _check_time(self, now: float) -> None:
        wall = self._job["wall_seconds"]
        if wall is not None and now - self._started >= wall:
            self._stop("timeout", f"it ran longer than its limit of {wall:g} s", 2.0)
        # The server's end of the pipe may live on in a process that it forked.
        if os.getppid() != self._parent:
            self._stop("lost", "the server stopped while it was running", 0)
        if self._kill_at is not None and now >= self._kill_at:
            self._signal(signal.SIGKILL)

    def _measure(self) -> None:
        processes = _descendants()
        memory = sum(_resident(pid) for pid in processes)
        limit = self._job["memory_bytes"]
        if limit is not None and memory > limit:
            # Pages that forked processes share count once.
            memory = sum(_proportional(pid) for pid in processes)
        self._memory = memory
        self._peak = max(self._peak, memory)
        if limit is not None and memory > limit:
            self._stop("out_of_memory", f"it used {_size(memory)}, more than its limit of {_size(limit)}", 0)
        cpu_limit, idle = self._job["cpu_seconds"], self._job["idle_seconds"]
        if cpu_limit is not None or idle is not None:
            used = _cpu_of_ended() + sum(_cpu(pid) for pid in processes)
            if cpu_limit is not None and used >= cpu_limit:
                self._stop("cpu_limit", f"it used {used:.1f} s of processor time; its limit is {cpu_limit:g} s", 0)
            if idle is not None:
                self._check_idle(used, idle)
        if self._job["disk_bytes"] is not None and time.monotonic() >= self._count_files_at:
            self._check_disk(self._job["disk_bytes"])

    def _check_idle(self, used: float, limit: float) -> None:
        now = time.monotonic()
        if used - self._cpu_at_progress > _IDLE_CPU:
            self._cpu_at_progress, self._progress = used, now
        if now - self._progress >= limit:
            self._stop("hang", f"it neither wrote nor computed anything for {limit:g} s", 2.0)

    def _check_disk(self, limit: int) -> None:
        begin = time.monotonic()
        used = _disk(self._job["scratch"] or self._job["cwd"])
        end = time.monotonic()
        self._count_files_at = end + max(_LOOK / 2, _COUNTING * (end - begin))
        if used > limit:
            self._stop("disk_limit", f"its files take {_size(used)}, more than its limit of {_size(limit)}", 0)

    def _stop(self, reason: str, detail: str, grace: float) -> None:
        """End the job for a reason; the first reason stays, a shorter grace counts."""
        if not self._reason:
            self._reason, self._detail = reason, detail
            if grace > 0:
                self._signal(signal.SIGTERM)
        at = time.monotonic() + grace
        if self._kill_at is None or at < self._kill_at:
            self._kill_at = at
        if grace <= 0:
            self._signal(signal.SIGKILL)

    @staticmethod
    def _signal(number: int) -> None:
        for pid in _descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    # -- the end

    def _end_descendants(self) -> None:
        """Kill what the job left behind. Orphans come to this process (a subreaper), also those that detached."""
        while True:
            self._signal(signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return
            except InterruptedError:
                continue

    def _drain(self) -> None:
        for descriptor in self._logs:
            with contextlib.suppress(BlockingIOError):
                while data := os.read(descriptor, 65536):
                    self._logs[descriptor].write(data)

    def _exit(self, failed: int) -> dict[str, Any]:
        status = self._status or 0
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        reason, detail = self._reason, self._detail
        trouble = os.read(failed, 4096).decode(errors="replace")
        if trouble:
            reason, detail = "exited", trouble
        elif not reason:
            reason, detail = self._verdict(code, number)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "reason": reason,
            "code": code,
            "signal": number,
            "detail": detail,
            "wall_seconds": round(time.monotonic() - self._started, 3),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "peak_memory_bytes": max(self._peak, usage.ru_maxrss * 1024),
        }

    def _verdict(self, code: int | None, number: int | None) -> tuple[str, str]:
        """The reason of an end that this program did not bring about."""
        if number == signal.SIGXCPU:
            return "cpu_limit", f"it used its {self._job['cpu_seconds']:g} s of processor time"
        if number == signal.SIGXFSZ:
            return "signalled", f"it wrote a file larger than its limit of {_size(self._job['file_bytes'])}"
        if number == signal.SIGKILL and _kernel_kills() > self._kernel_kills:
            return "out_of_memory", "the kernel killed it because memory ran out"
        if code != 0 and self._job["memory_bytes"] is not None:
            last = b"\n".join(list(self._logs.values())[1].tail.strip().splitlines()[-3:])
            if any(word in last for word in _NO_MEMORY):
                return "out_of_memory", (f"an allocation failed beyond its limit of {_size(self._job['memory_bytes'])}")
        if number is not None:
            try:
                name = signal.Signals(number).name
            except ValueError:
                name = "unknown"
            return "signalled", f"signal {number} ({name}) ended it"
        return "exited", f"it ended with code {code}"


def _become(
    job: dict[str, Any], parent: int, out: int, err: int, failed: int, program: Callable[[dict[str, Any]], NoReturn]
) -> NoReturn:
    """In the child: take on the job's limits and become its program."""
    doing = "be set up"
    code = 126
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(126)
        # The machine's last resort must take a job before the server.
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if job["memory_bytes"] is not None:
            _limit(resource.RLIMIT_AS, _ADDRESS_SPACE_FACTOR * job["memory_bytes"] + _ADDRESS_SPACE_MORE)
        if job["cpu_seconds"] is not None:
            _limit(resource.RLIMIT_CPU, max(1, int(job["cpu_seconds"] + 0.999)), more=5)
        if job["cpus"] is not None:
            _pin(job["cpus"])
        if job["file_bytes"] is not None:
            _limit(resource.RLIMIT_FSIZE, job["file_bytes"])
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.set_inheritable(failed, False)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        doing = f"run in the folder {job['cwd']}"
        os.chdir(job["cwd"])
        if not job["network"]:
            doing = "be kept from the network"
            _close_network()
        doing, code = f"run: {job['argv'][0]}", 126
        program(job)
    except OSError as error:
        code = 127 if error.errno == errno.ENOENT else code
        os.write(failed, f"it could not {doing} ({error.strerror})".encode())
    except BaseException as error:
        os.write(failed, f"it could not {doing} ({error!r})".encode())
    os._exit(code)


def _pin(cpus: float) -> None:
    """Keep this process on so many processors; others than the next job's, where there are more."""
    there = sorted(os.sched_getaffinity(0))
    count = max(1, int(cpus + 0.999))
    if count < len(there):
        first = os.getpid() % len(there)
        os.sched_setaffinity(0, [there[(first + each) % len(there)] for each in range(count)])


def execute(job: dict[str, Any]) -> NoReturn:
    """Become the program that the job names."""
    os.execvpe(job["argv"][0], job["argv"], job["env"])


def _limit(which: int, value: int, more: int = 0) -> None:
    """Set a limit of the process, never above the one it already has."""
    _, hard = resource.getrlimit(which)
    top = value + more if hard == resource.RLIM_INFINITY else min(value + more, hard)
    resource.setrlimit(which, (min(value, top), top))


def _prctl(option: int, value: int, pointer: Any = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(value), pointer if pointer else ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)]
    if libc.prctl(ctypes.c_int(option), *arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _close_network() -> None:
    """Refuse every socket but local ones (AF_UNIX), for this process and all that it starts, for good (seccomp)."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no system call filter for {machine}")
    audit, socket, io_uring = _MACHINES[machine]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    allow, deny = 0x7FFF0000, 0x00050000 | errno.EACCES
    program = [
        (load, 0, 0, 4),  # the machine: calls of another one have other numbers
        (equal, 0, 6, audit),
        (load, 0, 0, 0),  # the call
        (at_least, 4, 0, 0x40000000),  # x32
        (equal, 3, 0, io_uring),  # can open sockets by itself
        (equal, 0, 3, socket),
        (load, 0, 0, 16),  # its first argument, the address family
        (equal, 1, 0, 1),
        (answer, 0, 0, deny),
        (answer, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_SECCOMP, 2, filter)


# -- what /proc tells


def _descendants() -> list[int]:
    """All processes below this one."""
    found: list[int] = []
    pending = [os.getpid()]
    while pending:
        pid = pending.pop()
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                children = [int(word) for word in file.read().split()]
            # Children belong to the thread that made them.
            tasks = os.listdir(f"/proc/{pid}/task")
            if len(tasks) > 1:
                for task in tasks:
                    if int(task) != pid:
                        with open(f"/proc/{pid}/task/{task}/children") as file:
                            children += [int(word) for word in file.read().split()]
        except OSError:
            continue
        found += children
        pending += children
    return found


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _resident(pid)


def _cpu(pid: int) -> float:
    """Processor seconds of a process and of its children that ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return sum(int(each) for each in fields[11:15]) / _TICK
    except (OSError, ValueError):
        return 0.0


def _cpu_of_ended() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _disk(folder: str) -> int:
    """The bytes that files below a folder take on the disk, each counted once."""
    total = 0
    seen: set[int] = set()
    pending = [folder]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue  # gone meanwhile, or not ours to read
        for entry in entries:
            with contextlib.suppress(OSError):
                about = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif about.st_nlink == 1 or about.st_ino not in seen:
                    seen.add(about.st_ino)
                    total += about.st_blocks * 512
    return total


def _kernel_kills() -> int:
    """How many processes the kernel has killed for memory."""
    with contextlib.suppress(OSError), open("/proc/vmstat") as file:
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


# -- files


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _store(path: str, content: dict[str, Any]) -> None:
    """Write a file that is whole, or not there.

    It outlives the server, which is all that is asked of it: an end that the server did not come to note before the
    whole machine went down is one that nobody saw.
    """
    temporary = path + ".new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    _write_all(descriptor, json.dumps(content).encode())
    os.close(descriptor)
    os.rename(temporary, path)


def _size(number: int) -> str:
    return f"{number / 2**20:.0f} MiB" if number >= 2**20 else f"{number} bytes"


def launch(folder: str, program: Callable[[dict[str, Any]], NoReturn]) -> None:
    """One job, from the line on standard input that says what it is to its written end."""
    line = b""
    while b"\n" not in line:
        data = os.read(0, 65536)
        if not data:
            return  # the server ended before it said what to do: nothing was started
        line += data
    head, _, rest = line.partition(b"\n")
    with open("/proc/self/stat", "rb") as file:
        ticks = int(file.read().rpartition(b")")[2].split()[19])
    _store(os.path.join(folder, "launcher.json"), {"pid": os.getpid(), "start": ticks})
    # More lines may have come with the first one: a kill right after the start.
    Launcher(folder, json.loads(head), rest, program).run()


if __name__ == "__main__":
    launch(sys.argv[1], execute)
