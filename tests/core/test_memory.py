"""Memory: budgets of this machine, and what lack of it looks like."""

from __future__ import annotations

import subprocess
import sys

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


def test_what_threads_loaded_goes_back_to_the_machine() -> None:
    code = """
import resource, threading
from pathlib import Path
import numpy as np
from lego.core.memory import own_pages, release_memory

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def work():
    for _ in range(5):
        with one, own_pages():  # the pool loads one at a time, too
            weights = [np.ones(20 << 17) for _ in range(2)]
        wait.wait()
        del weights

release_memory()
begun, wait, one = held(), threading.Barrier(4), threading.Lock()
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
release_memory()
print((held() - begun) >> 20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 30  # of 160 MB that were held at once
