"""How the process's malloc gives memory back.

Rows pass through a server in blocks of up to some megabytes, on many threads. By itself glibc raises the size from which
a block is a mapping of its own each time it frees a larger one, up to 32 MB; blocks then lie between small objects, and
what a load or a training took stays with the process.
"""

from __future__ import annotations

import ctypes

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Below it a mapping for each block costs more than it gives: its pages are cleared every time.
_OWN_MAPPING = 1 << 20
_KEPT_ON_TOP = 4 << 20


def give_back() -> bool:
    """From here on blocks of 1 MB and more go back to the system when they are freed; False where malloc cannot."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT_ON_TOP))
