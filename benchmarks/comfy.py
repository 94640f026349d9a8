"""Run a graph of no-ops with ComfyUI's own executor, in the working directory's checkout (`benchmarks/peers.py`)."""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

ROUNDS = 3


class Noop:
    """A node that does nothing."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "bench"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  ComfyUI's name
        return {"required": {"k": ("INT", {})}, "optional": {"a": ("IMAGE",), "b": ("IMAGE",)}}

    def run(self, k: int, a: Any = None, b: Any = None) -> tuple[Any]:
        return (a if a is not None else k,)


class Deaf:
    """A server to which no client is attached."""

    client_id = None
    last_node_id = None
    last_prompt_id = None

    def __getattr__(self, name: str) -> Any:
        return {} if name == "sockets_metadata" else lambda *args, **kwargs: None


def main() -> None:
    graph = json.loads(sys.argv[1])
    sys.argv[1:] = ["--cpu"]  # ComfyUI reads the command line itself
    sys.path.insert(0, ".")
    import execution  # type: ignore[import-not-found]
    import nodes  # type: ignore[import-not-found]

    nodes.NODE_CLASS_MAPPINGS["BenchNoop"] = Noop
    times = []
    for turn in range(ROUNDS):
        executor = execution.PromptExecutor(Deaf())
        prompt = {
            str(n): {"class_type": "BenchNoop", "inputs": {"k": n, **{"ab"[i]: [str(m), 0] for i, m in enumerate(p)}}}
            for n, p in enumerate(graph)
        }
        start = time.process_time()
        executor.execute(prompt, str(turn), {}, [str(n) for n in range(max(0, len(graph) - 10), len(graph))])
        times.append(time.process_time() - start)
        if not getattr(executor, "success", True):
            sys.exit("the run failed")
    print(statistics.median(times))


if __name__ == "__main__":
    main()
