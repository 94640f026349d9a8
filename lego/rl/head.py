"""A head that is asked only where it counts: logits of chosen positions instead of all of them.

Of a training sequence a tenth carries loss (imitation: the answer; reinforcement: its free choices). TRL's fused head
scores every position where there is no Triton, which for a small model costs as much as half of the network.
"""

from __future__ import annotations

import functools
import types
from typing import Any

STEADY = 128  # chosen positions are filled up to a multiple: oneDNN compiles anew for every shape that it meets


def add_head(model: Any) -> None:
    """Let ``model(..., at=mask)`` return the logits (chosen positions x vocabulary) of the positions in a mask.

    Without ``at`` the forward is as before, so TRL's own calls and generation still work. Wrappers (accelerate, DDP,
    DeepSpeed, PEFT) see an ordinary call of ``forward``. Calling it twice on a model is harmless.
    """
    if getattr(model, "_asks_where_it_counts", False):
        return
    before = model.forward

    @functools.wraps(type(model).forward)  # generation reads the names of the arguments off it
    def forward(self: Any, *args: Any, at: Any = None, **kwargs: Any) -> Any:
        if at is None:
            return before(*args, **kwargs)
        kwargs["use_cache"] = False
        hidden = self.base_model(*args, **kwargs).last_hidden_state
        where = at.flatten().nonzero().squeeze(1)
        count = len(where)
        if hidden.device.type == "cpu":
            where = _filled(where)
        return self.get_output_embeddings()(hidden.flatten(0, 1)[where])[:count]

    model.forward = types.MethodType(forward, model)
    model._asks_where_it_counts = True


def _filled(where: Any) -> Any:
    import torch

    missing = -len(where) % STEADY or (STEADY if not len(where) else 0)
    return torch.cat([where, where.new_zeros(missing)])


def base_of(model: Any) -> Any:
    """Return the model itself where adapters are wrapped around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
