"""Run in a step's own process: the KFP executor on a component's source.

``python kfp_program.py MOUNT MODULE ARGUMENTS...``: artifacts at ``gs://`` are found below the folder MOUNT, where they
would be below ``/gcs/``. The imports come first, so that an interpreter may have made them before it is forked.
"""

from __future__ import annotations

import os

# The part of kfp that runs components does not load what compiles them.
os.environ["_KFP_RUNTIME"] = "true"

import importlib
import sys

from kfp.dsl import executor_main as _executor_main  # noqa: F401
from kfp.dsl.types import artifact_types


def main() -> None:
    mount, module, *rest = sys.argv[1:]
    artifact_types._GCS_LOCAL_MOUNT_PREFIX = mount
    sys.argv = [module, *rest]
    importlib.import_module(module).executor_main()


if __name__ == "__main__":
    main()
