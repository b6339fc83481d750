"""Runs a command as long as whoever started this process lives: ``python keeper.py COMMAND...``, its input a pipe of theirs.

A Spark that outlives a server which was killed would keep its memory.
"""

from __future__ import annotations

import subprocess
import sys
import threading


def main() -> int:
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def watch() -> None:
        sys.stdin.buffer.read()
        process.kill()

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
