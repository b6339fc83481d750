"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tule.kernel import allocator

# Blocks of 2 MB between small ones, after a larger one was freed (which would raise glibc's threshold).
HELD = """
import ctypes, sys
from tule.kernel import allocator

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

if sys.argv[1] == "settled":
    assert allocator.give_back()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def block(size):
    made = libc.malloc(size)
    ctypes.memset(made, 1, size)
    return made

libc.free(block(24 << 20))
before = resident()
large, small = [], []
for _ in range(64):
    large.append(block(2 << 20))
    small.append(block(20_000))  # of a size that no earlier block left free
for each in large:
    libc.free(each)
print(resident() - before)
"""


def held(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", HELD, how], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a property of glibc")
def test_large_blocks_between_small_ones_go_back_when_freed() -> None:
    assert held("settled") < 8 << 20
    assert held("as it comes") > 64 << 20  # so the first figure is allocator's doing


def test_a_malloc_without_these_settings_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tule.kernel.allocator.ctypes.CDLL", lambda name: object())
    assert allocator.give_back() is False
