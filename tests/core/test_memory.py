"""Memory: budgets of this machine, and what lack of it looks like."""

from __future__ import annotations

from lego.core.memory import CPU, is_out_of_memory, measured


def test_budgets_are_those_of_this_machine_unless_they_are_set() -> None:
    assert 2**28 < measured()[CPU] < 2**45
    assert measured(memory=5)[CPU] == 5


def test_errors_that_mean_a_lack_of_memory_are_known() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("out of memory"))
