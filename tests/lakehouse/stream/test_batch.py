"""What the memory of batches promises."""

import torch

from lakehouse.stream.batch import PixelPool


def test_memory_that_is_held_is_not_given_again() -> None:
    pool = PixelPool(shape=(4, 2, 2, 3), most=2)
    held = [torch.from_numpy(pool.take()[:3]).permute(0, 3, 1, 2) for _ in range(5)]
    for number, tensor in enumerate(held):
        tensor.fill_(number)
    assert [int(tensor.sum()) for tensor in held] == [number * tensor.numel() for number, tensor in enumerate(held)]


def test_memory_that_only_a_view_of_a_view_holds_is_not_given_again() -> None:
    pool = PixelPool(shape=(4, 2, 2, 3), most=2)
    view = torch.from_numpy(pool.take()).permute(0, 3, 1, 2)[1:].numpy()[0]
    view[...] = 7
    pool.take()[...] = 1
    assert (view == 7).all()


def test_memory_that_nobody_holds_is_given_again() -> None:
    pool = PixelPool(shape=(4, 2, 2, 3), most=2)
    tensor = torch.from_numpy(pool.take())
    address = tensor.data_ptr()
    del tensor
    assert torch.from_numpy(pool.take()).data_ptr() == address
