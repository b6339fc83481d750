"""The examples in the kernel's docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import tule.engines.local
import tule.kernel

MODULES = [
    found.name
    for package in (tule.kernel, tule.engines.local)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if found.name != "tule.engines.local.launcher"  # a program
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
