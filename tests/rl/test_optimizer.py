"""Muon and AdamW as one optimizer."""

from __future__ import annotations

import copy

import torch
from torch import nn

from lego.rl.optimizer import Muon


class Toy(nn.Module):  # type: ignore[misc]  # torch has no types here
    """An embedding, a layer under the name that layers have, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(16, 8)
        self.layers = nn.ModuleList([nn.Linear(8, 8)])
        self.model = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(8, 16)])})
        self.norm = nn.LayerNorm(8)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.model["layers"][0](self.norm(self.embed(ids))))


def made(toy: Toy) -> Muon:
    return Muon(toy, lr=0.02, weight_decay=0.0, betas=(0.9, 0.98))


def learn(toy: Toy, optimizer: Muon, steps: int) -> float:
    ids = torch.arange(16)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(toy(ids), (ids + 1) % 16)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.item())


def test_matrices_of_layers_are_muons_and_all_else_is_adamws() -> None:
    toy = Toy()
    muon, adamw = made(toy).parts
    assert [id(p) for group in muon.param_groups for p in group["params"]] == [id(toy.model["layers"][0].weight)]
    others = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert id(toy.embed.weight) in others
    assert id(toy.norm.weight) in others


def test_it_learns_and_a_rate_that_is_set_reaches_both() -> None:
    toy = Toy()
    optimizer = made(toy)
    assert learn(toy, optimizer, 60) < 0.5
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = copy.deepcopy(toy.state_dict())
    learn(toy, optimizer, 1)
    assert all(torch.equal(before[name], value) for name, value in toy.state_dict().items())


def test_a_state_that_is_loaded_goes_on_to_the_same_weights() -> None:
    whole, first = Toy(), Toy()
    learn(whole, made(whole), 6)
    begun = made(first)
    learn(first, begun, 3)
    second = Toy()
    second.load_state_dict(first.state_dict())
    resumed = made(second)
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    learn(second, resumed, 3)
    assert all(torch.equal(whole.state_dict()[name], value) for name, value in second.state_dict().items())
    assert resumed.param_groups[0] is resumed.parts[0].param_groups[0]
