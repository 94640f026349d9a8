"""Muon for the matrices of the layers, AdamW for all else, as one optimizer.

Muon (Keller Jordan, 2024; torch.optim.Muon) turns a matrix's update into the nearest orthogonal one. With its rate
adjusted to AdamW's (Moonlight, arXiv 2502.16982) both go by one schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

LAYER = ".layers."  # in the names of the weights of layers; embeddings and heads are AdamW's


class Muon(torch.optim.Optimizer):  # type: ignore[misc]  # torch has no types here
    """Two optimizers as one; whoever sets a rate in ``param_groups`` sets it in the one that the group belongs to.

    Args:
        model: whose parameters are trained; those of layers that are matrices go to Muon.
        lr: top rate of both.
        weight_decay: of matrices.
        betas: of AdamW.
    """

    def __init__(self, model: Any, lr: float, weight_decay: float, betas: tuple[float, float]) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        inside = [p for name, p in named if LAYER in name and p.ndim == 2]
        known = {id(p) for p in inside}
        others = [p for _, p in named if id(p) not in known]
        groups = [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self.parts: list[torch.optim.Optimizer] = []
        if inside:
            self.parts.append(
                torch.optim.Muon(inside, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )
        if groups:  # adapters have nothing but matrices of layers
            self.parts.append(torch.optim.AdamW(groups, lr=lr, betas=betas))
        super().__init__([p for _, p in named], {"lr": lr})
        self._link()

    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Step both."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the states of both."""
        for part, own in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(own)
        self._link()

    def _link(self) -> None:
        """Show the groups of both as one's own: the very same, so that schedules reach them."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def muon() -> Callable[..., Muon]:
    """Return what makes the optimizer of a model: the factory that transformers' trainer asks for."""
    return Muon
