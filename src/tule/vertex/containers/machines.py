"""Machine types of Compute Engine: how many processors and how much memory a name stands for.

https://cloud.google.com/compute/docs/machine-resource

>>> machine_of("n1-standard-4")
Machine(name='n1-standard-4', cpus=4.0, memory_bytes=16106127360, accelerators=0)
>>> machine_of("e2-custom-2-4096").memory_bytes == 4 * 2**30
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tule.kernel.errors import InvalidArgument

_GB = 2**30


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine has. ``accelerators``: GPUs that are part of the type."""

    name: str
    cpus: float
    memory_bytes: int
    accelerators: int = 0


# GB for each processor, by series and class; the processors that there are.
_SERIES: dict[str, tuple[float, tuple[int, ...]]] = {
    "n1-standard": (3.75, (1, 2, 4, 8, 16, 32, 64, 96)),
    "n1-highmem": (6.5, (2, 4, 8, 16, 32, 64, 96)),
    "n1-highcpu": (0.9, (2, 4, 8, 16, 32, 64, 96)),
    "n2-standard": (4, (2, 4, 8, 16, 32, 48, 64, 80, 96, 128)),
    "n2-highmem": (8, (2, 4, 8, 16, 32, 48, 64, 80, 96)),
    "n2-highcpu": (1, (2, 4, 8, 16, 32, 48, 64, 80, 96)),
    "n2d-standard": (4, (2, 4, 8, 16, 32, 48, 64, 80, 96, 128, 224)),
    "n2d-highmem": (8, (2, 4, 8, 16, 32, 48, 64, 80, 96)),
    "n2d-highcpu": (1, (2, 4, 8, 16, 32, 48, 64, 80, 96, 128, 224)),
    "n4-standard": (4, (2, 4, 8, 16, 32, 48, 64, 80)),
    "n4-highmem": (8, (2, 4, 8, 16, 32, 48, 64, 80)),
    "n4-highcpu": (2, (2, 4, 8, 16, 32, 48, 64, 80)),
    "e2-standard": (4, (2, 4, 8, 16, 32)),
    "e2-highmem": (8, (2, 4, 8, 16)),
    "e2-highcpu": (1, (2, 4, 8, 16, 32)),
    "c2-standard": (4, (4, 8, 16, 30, 60)),
    "c2d-standard": (4, (2, 4, 8, 16, 32, 56, 112)),
    "c2d-highmem": (8, (2, 4, 8, 16, 32, 56, 112)),
    "c2d-highcpu": (2, (2, 4, 8, 16, 32, 56, 112)),
    "c3-standard": (4, (4, 8, 22, 44, 88, 176)),
    "c3-highmem": (8, (4, 8, 22, 44, 88, 176)),
    "c3-highcpu": (2, (4, 8, 22, 44, 88, 176)),
    "c4-standard": (3.75, (2, 4, 8, 16, 24, 32, 48, 96, 144, 192, 288)),
    "c4-highmem": (7.75, (2, 4, 8, 16, 24, 32, 48, 96, 144, 192, 288)),
    "c4-highcpu": (2, (2, 4, 8, 16, 24, 32, 48, 96, 144, 192, 288)),
}
# Types whose numbers follow no rule: processors, GB, accelerators.
_OTHERS: dict[str, tuple[float, float, int]] = {
    "e2-micro": (2, 1, 0),
    "e2-small": (2, 2, 0),
    "e2-medium": (2, 4, 0),
    "m1-ultramem-40": (40, 961, 0),
    "m1-ultramem-80": (80, 1922, 0),
    "m1-ultramem-160": (160, 3844, 0),
    "m1-megamem-96": (96, 1433.6, 0),
    "a2-highgpu-1g": (12, 85, 1),
    "a2-highgpu-2g": (24, 170, 2),
    "a2-highgpu-4g": (48, 340, 4),
    "a2-highgpu-8g": (96, 680, 8),
    "a2-megagpu-16g": (96, 1360, 16),
    "a2-ultragpu-1g": (12, 170, 1),
    "a2-ultragpu-2g": (24, 340, 2),
    "a2-ultragpu-4g": (48, 680, 4),
    "a2-ultragpu-8g": (96, 1360, 8),
    "a3-highgpu-1g": (26, 234, 1),
    "a3-highgpu-2g": (52, 468, 2),
    "a3-highgpu-4g": (104, 936, 4),
    "a3-highgpu-8g": (208, 1872, 8),
    "a3-megagpu-8g": (208, 1872, 8),
    "g2-standard-4": (4, 16, 1),
    "g2-standard-8": (8, 32, 1),
    "g2-standard-12": (12, 48, 1),
    "g2-standard-16": (16, 64, 1),
    "g2-standard-24": (24, 96, 2),
    "g2-standard-32": (32, 128, 1),
    "g2-standard-48": (48, 192, 4),
    "g2-standard-96": (96, 384, 8),
    # What jobs of the AI Platform before Vertex were sized by.
    "standard": (4, 15, 0),
    "large_model": (16, 60, 0),
    "complex_model_s": (8, 7.2, 0),
    "complex_model_m": (16, 14.4, 0),
    "complex_model_l": (32, 28.8, 0),
}
_NAME = re.compile(r"(?P<series>[a-z]\d[a-z]?-[a-z]+)-(?P<cpus>\d{1,3})")
_CUSTOM = re.compile(r"(?:(?P<series>n1|n2|n2d|n4|e2)-)?custom-(?P<cpus>\d{1,3})-(?P<megabytes>\d{3,7})(?:-ext)?")


def machine_of(name: str) -> Machine:
    """The machine of a type; raises InvalidArgument for one that there is not."""
    if name in _OTHERS:
        cpus, gigabytes, accelerators = _OTHERS[name]
        return Machine(name, float(cpus), round(gigabytes * _GB), accelerators)
    if found := _NAME.fullmatch(name):
        ratio, sizes = _SERIES.get(found["series"], (0.0, ()))
        if int(found["cpus"]) in sizes:
            return Machine(name, float(found["cpus"]), round(int(found["cpus"]) * ratio * _GB))
    if found := _CUSTOM.fullmatch(name):
        return Machine(name, float(found["cpus"]), int(found["megabytes"]) * 2**20)
    raise InvalidArgument(
        "A machine type must be one of Compute Engine's",
        given=repr(name[:60]),
        do="use for instance n1-standard-4, e2-standard-4, n2-highmem-2 or n1-custom-2-8192",
    )
