"""Run in a step's own process: the KFP executor on a component's source.

``python kfp_program.py MOUNT MODULE ARGUMENTS...``: artifacts at ``gs://`` are found below the folder MOUNT, where they
would be below ``/gcs/``. The imports come first, so that an interpreter may have made them before it is forked.
"""

from __future__ import annotations

import os

# The part of kfp that runs components does not load what compiles them.
os.environ["_KFP_RUNTIME"] = "true"

import argparse
import importlib
import json
import sys
import tempfile

from kfp.dsl import executor, executor_main, utils  # noqa: F401
from kfp.dsl.types import artifact_types

_COMPONENT = """
import kfp
from kfp import dsl
from kfp.dsl import *
from typing import *

def nothing(number: int) -> int:
    return number
"""


def warm_up() -> None:
    """Run a component that does nothing, so that what the executor imports as it goes is there."""
    kept = list(sys.path)
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/nothing.py", "w") as file:  # noqa: PTH123
            file.write(_COMPONENT)
        function = utils.load_module(module_name="nothing", module_directory=folder).nothing
        given = {
            "inputs": {"parameterValues": {"number": 1}},
            "outputs": {"parameters": {"Output": {"outputFile": f"{folder}/Output"}}, "outputFile": f"{folder}/output"},
        }
        given = json.loads(json.dumps(given, indent=4))
        executor.Executor(executor_input=given, function_to_execute=function).execute()
    argparse.ArgumentParser().parse_known_args(["--x"])
    artifact_types.CONTAINER_TASK_ROOT = None
    sys.modules.pop("nothing", None)
    sys.path[:] = kept


def main() -> None:
    mount, module, *rest = sys.argv[1:]
    artifact_types._GCS_LOCAL_MOUNT_PREFIX = mount
    sys.argv = [module, *rest]
    importlib.import_module(module).executor_main()


if __name__ == "__main__":
    main()
elif __name__ == "preload":
    warm_up()
