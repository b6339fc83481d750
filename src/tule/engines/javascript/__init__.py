"""QuickJS as the engine of functions in JavaScript: each program in a process of its own that can only compute."""

from tule.engines.javascript.adapter import Limits, QuickJs

__all__ = ["Limits", "QuickJs"]
