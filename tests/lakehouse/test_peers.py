"""What several processes learn together is what one would learn from all rows."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lakehouse import peers
from lakehouse.losses import contrastive, hard_negative_identification, short_tag_classification, sigmoid
from lakehouse.stream.tag_tensors import multi_hot
from tests.together import run_together

pytestmark = pytest.mark.train

ROWS, WIDTH, TAGS = 8, 6, 5
HAS_NEGATIVE = [0, 1, 2, 7]
"""Of two processes one has three of them, of four one has none."""


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def learnt() -> dict[str, Tensor]:
    """Return the losses of all rows, and the gradients of what they are learnt by, as this process finds them."""
    rows = ROWS // peers.world_size()
    own = slice(peers.rank() * rows, (peers.rank() + 1) * rows)
    weights = drawn(WIDTH, WIDTH, seed=1).requires_grad_()
    scale, bias = (torch.tensor(value, requires_grad=True) for value in (2.0, -1.0))
    image, text, negative = (drawn(ROWS, WIDTH, seed=seed)[own] @ weights for seed in (2, 3, 4))
    mask = torch.tensor([row in HAS_NEGATIVE for row in range(ROWS)])[own]
    tags = multi_hot([torch.arange(row % 3).int().numpy() for row in range(ROWS)], TAGS)[own]
    texts: dict[str, Any] = {"all_text": peers.gather(text), "first": own.start}
    columns = {**texts, "all_negative": peers.gather(negative[mask])}
    losses = {
        "contrastive": contrastive(image, text, scale, all_image=peers.gather(image), **texts),
        "negclip": contrastive(image, text, scale, all_image=peers.gather(image), **columns),
        "sigmoid": sigmoid(image, text, scale, bias, **texts),
        "sigmoid with columns": sigmoid(image, text, scale, bias, **columns),
        "hni": hard_negative_identification(image, text, negative, scale, mask, rows=peers.mean(mask.sum().float())),
        "stc": short_tag_classification(image[:, :TAGS], tags, rows=peers.mean((tags.sum(dim=1) > 0).sum().float())),
    }
    learnt_by = {"weights": weights, "scale": scale, "bias": bias}
    told = dict(losses)
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, [*learnt_by.values()], retain_graph=True, materialize_grads=True)
        told |= {f"{name}, {by}": gradient for by, gradient in zip(learnt_by, gradients, strict=True)}
    return {name: peers.mean(value) for name, value in told.items()}


@pytest.mark.parametrize("size", [2, 4])
def test_losses_and_gradients_are_those_of_one_process(size: int, tmp_path: Path) -> None:
    alone = learnt()
    for told in run_together(learnt, size, tmp_path):
        assert told.keys() == alone.keys()
        for name, value in told.items():
            assert torch.allclose(value, alone[name], rtol=1e-5, atol=1e-6), name


def unequal() -> Tensor:
    """Return what is gathered of as many rows as the rank says, and the gradient of the sum of squares of it all."""
    rows = torch.full((peers.rank(), 2), float(peers.rank() + 1), requires_grad=True)
    everyone = peers.gather(rows)
    everyone.square().sum().backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None
    # Each of the processes squares all rows.
    assert torch.equal(rows.grad, 2 * rows.detach() * peers.world_size())
    assert peers.gather(rows[:0]).shape == (0, 2)
    return everyone.detach()


def test_processes_may_gather_different_numbers_of_rows(tmp_path: Path) -> None:
    for everyone in run_together(unequal, 3, tmp_path):
        assert everyone.tolist() == [[2.0, 2.0], [3.0, 3.0], [3.0, 3.0]]


def first() -> list[int]:
    return list(peers.from_first([peers.rank(), peers.world_size()]))


def test_all_know_what_the_first_knows(tmp_path: Path) -> None:
    assert run_together(first, 2, tmp_path) == [[0, 2], [0, 2]]
    assert first() == [0, 1]


def state() -> dict[str, Any]:
    """Return a state that only the first process has, and, of each process, the bytes of Python that sending took."""
    own = None
    if peers.rank() == 0:
        weights = {"a": drawn(1024, 512, seed=0), "b": torch.tensor(3.0), "c": torch.tensor([True, False])}
        own = {
            "steps": 3,
            "weights": weights,
            "groups": [{"betas": (0.9, 0.98), "half": drawn(2, 3, seed=1).bfloat16().T}],
        }
    tracemalloc.start()
    told = peers.from_first(own)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"told": told, "most": most}


def test_tensors_are_not_pickled_on_their_way_from_the_first(tmp_path: Path) -> None:
    wanted = state()["told"]
    for one in run_together(state, 2, tmp_path):
        assert one["most"] < wanted["weights"]["a"].nbytes / 4
        told = one["told"]
        assert (told["steps"], told["groups"][0]["betas"]) == (3, (0.9, 0.98))
        assert all(told["weights"][name].equal(value) for name, value in wanted["weights"].items())
        assert told["groups"][0]["half"].equal(wanted["groups"][0]["half"])
        assert told["groups"][0]["half"].dtype == torch.bfloat16


def everyones() -> list[dict[str, int]]:
    return peers.everyones({"rank": peers.rank()})


def test_all_know_what_each_has(tmp_path: Path) -> None:
    assert run_together(everyones, 2, tmp_path) == [[{"rank": 0}, {"rank": 1}]] * 2
    assert everyones() == [{"rank": 0}]


def test_one_process_gathers_its_own_rows() -> None:
    rows = drawn(3, 2, seed=0)
    assert peers.gather(rows) is rows
    assert torch.equal(peers.mean(rows), rows)
    assert F.mse_loss(peers.gather_equal(rows), rows) == 0
