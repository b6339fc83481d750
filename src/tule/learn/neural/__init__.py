"""Networks of fully connected layers: NumPy asks them, PyTorch (an extra) trains them."""

from tule.learn.neural.network import ACTIVATIONS, Network
from tule.learn.neural.training import Goal, Recipe, Trainer

__all__ = ["ACTIVATIONS", "Goal", "Network", "Recipe", "Trainer"]
