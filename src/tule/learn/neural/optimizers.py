"""FTRL-proximal, which PyTorch does not have (McMahan et al. 2013, algorithm 1), as TensorFlow's defaults set it."""

from __future__ import annotations

from typing import Any

import torch

_FIRST_ACCUMULATOR = 0.1


class Ftrl(torch.optim.Optimizer):
    """The learning rate of each coordinate falls with the root of the sum of its squared slopes."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            rate = group["lr"]
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state = self.state[weights]
                if not state:
                    state["squares"] = torch.full_like(weights, _FIRST_ACCUMULATOR)
                    state["linear"] = -weights * state["squares"].sqrt() / rate
                before = state["squares"].sqrt()
                state["squares"].addcmul_(weights.grad, weights.grad)
                after = state["squares"].sqrt()
                state["linear"].add_(weights.grad - (after - before) / rate * weights)
                weights.copy_(-state["linear"] * rate / after)
        return loss
