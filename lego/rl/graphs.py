"""The nano builder's network as ONNX graphs, which read their weights where they lie in ``model.safetensors``.

The graphs are written node by node from the checkpoint's configuration rather than traced: the parts are few (SigLIP's
encoder, a projector, Qwen2's decoder), no tracer's quirks get in, and each weight keeps its name and its bytes. Weights
stand in the file as float16; the graph casts them to float32, which ONNX Runtime does once, when it loads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET, IR = 20, 10  # Gelu came with 20; ONNX Runtime 1.20 reads both
WEIGHTS = "model.safetensors"
KINDS = {"F16": 10, "F32": 1}  # ONNX's number of a type of safetensors
FLOAT, INTS = 1, 7  # ONNX's numbers of float32 and int64
HIDDEN = -1e9  # before the softmax, of what may not be looked at


class Weights:
    """Where each weight lies in a safetensors file, by its name without ``model.``, which releases put elsewhere."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(size))
        header.pop("__metadata__", None)
        self.start = 8 + size
        self.facts = {re.sub(r"\b(vision_)?model\.", "", name): facts for name, facts in header.items()}

    def __contains__(self, name: str) -> bool:
        return name in self.facts

    def tensor(self, name: str) -> Any:
        """Return an ONNX tensor whose data is the file's."""
        import onnx

        facts = self.facts[name]
        begin, end = facts["data_offsets"]
        found = onnx.TensorProto(name=name, data_type=KINDS[facts["dtype"]], dims=facts["shape"])
        found.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", self.start + begin), ("length", end - begin)):
            found.external_data.add(key=key, value=str(value))
        return found


class Graph:
    """Gathers nodes; every method adds one part and returns the name of what comes out."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.tensors: dict[str, Any] = {}
        self.cast: dict[str, str] = {}

    def op(self, kind: str, *inputs: str, name: str = "", outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or their names if it has several."""
        import onnx

        made = [name or f"n{len(self.nodes)}"] if outputs == 1 else [f"n{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), made, **attributes))
        return made[0] if outputs == 1 else made

    def constant(self, value: Any, kind: type = np.int64) -> str:
        """Add a constant, each value once."""
        import onnx

        array: NDArray[Any] = np.asarray(value, kind)
        name = f"c{array.dtype.char}{array.shape}{array.tobytes().hex()}"
        name = name if len(name) < 80 else f"c{len(self.tensors)}"
        self.tensors.setdefault(name, onnx.numpy_helper.from_array(array, name))
        return name

    def number(self, value: float) -> str:
        return self.constant(value, np.float32)

    def weight(self, name: str) -> str:
        """The name of a weight of the file, as float32."""
        if name not in self.cast:
            self.tensors[name] = self.weights.tensor(name)
            self.cast[name] = self.op("Cast", name, to=FLOAT)
        return self.cast[name]

    def linear(self, x: str, name: str) -> str:
        """A linear layer over rows."""
        bias = [self.weight(f"{name}.bias")] if f"{name}.bias" in self.weights else []
        return str(self.op("Gemm", x, self.weight(f"{name}.weight"), *bias, transB=1))

    def heads(self, x: str, count: int, width: int) -> str:
        """Rows into heads: rows x (heads * width) to heads x rows x width."""
        return str(self.op("Transpose", self.op("Reshape", x, self.constant([-1, count, width])), perm=[1, 0, 2]))

    def attention(self, query: str, key: str, value: str, width: int, hidden: str = "") -> str:
        """Attention over heads x rows x width; return rows x (heads * width). ``hidden`` is added to the scores."""
        turned = self.op("Transpose", key, perm=[0, 2, 1])
        scores = self.op("Mul", self.op("MatMul", query, turned), self.number(width**-0.5))
        scores = self.op("Add", scores, hidden) if hidden else scores
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        return str(self.op("Reshape", self.op("Transpose", mixed, perm=[1, 0, 2]), self.constant([0, -1])))

    def layer_norm(self, x: str, name: str, epsilon: float) -> str:
        scale, shift = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return str(self.op("LayerNormalization", x, scale, shift, epsilon=epsilon, axis=-1))

    def rms_norm(self, x: str, name: str, epsilon: float) -> str:
        mean = self.op("ReduceMean", self.op("Mul", x, x), self.constant([-1]))
        root = self.op("Sqrt", self.op("Add", mean, self.number(epsilon)))
        return str(self.op("Mul", self.op("Div", x, root), self.weight(f"{name}.weight")))

    def model(self, inputs: Mapping[str, tuple[int, Sequence[Any]]], outputs: Mapping[str, Sequence[Any]]) -> Any:
        """Return the graph as a model; inputs are type and shape by name, outputs float32 and their shapes."""
        import onnx

        values = [onnx.helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
        results = [onnx.helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()]
        graph = onnx.helper.make_graph(self.nodes, "lego", values, results, list(self.tensors.values()))
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR)


def picture_graph(config: Any, weights: Weights) -> Any:
    """Return the part that sees: ``pixels`` (1 x 3 x side x side) to ``features`` (patches x width of the text)."""
    seen, graph = config.vision_config, Graph(weights)
    tower, width = "vision_tower", config.vision_config.hidden_size
    patches = graph.op(
        "Conv", "pixels", graph.weight(f"{tower}.embeddings.patch_embedding.weight"),
        graph.weight(f"{tower}.embeddings.patch_embedding.bias"), strides=[seen.patch_size] * 2,
    )  # fmt: skip
    rows = graph.op("Transpose", graph.op("Reshape", patches, graph.constant([width, -1])), perm=[1, 0])
    x = graph.op("Add", rows, graph.weight(f"{tower}.embeddings.position_embedding.weight"))
    for number in range(seen.num_hidden_layers):
        layer = f"{tower}.encoder.layers.{number}"
        inner = graph.layer_norm(x, f"{layer}.layer_norm1", seen.layer_norm_eps)
        parts = [
            graph.heads(
                graph.linear(inner, f"{layer}.self_attn.{p}_proj"),
                seen.num_attention_heads,
                width // seen.num_attention_heads,
            )
            for p in "qkv"
        ]
        mixed = graph.attention(parts[0], parts[1], parts[2], width // seen.num_attention_heads)
        x = graph.op("Add", x, graph.linear(mixed, f"{layer}.self_attn.out_proj"))
        inner = graph.linear(graph.layer_norm(x, f"{layer}.layer_norm2", seen.layer_norm_eps), f"{layer}.mlp.fc1")
        x = graph.op("Add", x, graph.linear(graph.op("Gelu", inner, approximate="tanh"), f"{layer}.mlp.fc2"))
    inner = graph.op("Gelu", graph.linear(x, "multi_modal_projector.linear_1"))
    graph.op("Identity", graph.linear(inner, "multi_modal_projector.linear_2"), name="features")
    side = [1, seen.num_channels, seen.image_size, seen.image_size]
    count = (seen.image_size // seen.patch_size) ** 2
    return graph.model({"pixels": (FLOAT, side)}, {"features": [count, config.text_config.hidden_size]})


def text_graph(config: Any, weights: Weights) -> Any:
    """Return the part that reads and writes, one row.

    Inputs: ``ids`` (n), ``features`` of the picture, which stand where the picture's tokens are, and for each layer
    ``key_i`` and ``value_i`` (heads x past x width) of what was read before. Outputs: ``logits`` after the last
    token (vocabulary), ``next_key_i`` and ``next_value_i`` with the new tokens at the end.
    """
    text, graph = config.text_config, Graph(weights)
    heads, width = text.num_attention_heads, text.hidden_size // text.num_attention_heads
    x = _embedded(graph, config.image_token_id)
    turn, hidden = _places(graph, width, text.rope_parameters["rope_theta"])
    inputs: dict[str, tuple[int, Sequence[Any]]] = {"ids": (INTS, ["n"])}
    inputs["features"] = (FLOAT, ["patches", text.hidden_size])
    outputs: dict[str, Sequence[Any]] = {"logits": [text.vocab_size]}
    for number in range(text.num_hidden_layers):
        layer = f"language_model.layers.{number}"
        inner = graph.rms_norm(x, f"{layer}.input_layernorm", text.rms_norm_eps)
        query, key, value = (
            graph.heads(graph.linear(inner, f"{layer}.self_attn.{p}_proj"), heads, width) for p in "qkv"
        )
        for name in (f"key_{number}", f"value_{number}"):
            inputs[name] = (FLOAT, [heads, "past", width])
            outputs[f"next_{name}"] = [heads, "total", width]
        key = graph.op("Concat", f"key_{number}", _turned(graph, key, turn), name=f"next_key_{number}", axis=1)
        value = graph.op("Concat", f"value_{number}", value, name=f"next_value_{number}", axis=1)
        mixed = graph.attention(_turned(graph, query, turn), key, value, width, hidden)
        x = graph.op("Add", x, graph.linear(mixed, f"{layer}.self_attn.o_proj"))
        inner = graph.rms_norm(x, f"{layer}.post_attention_layernorm", text.rms_norm_eps)
        gate = graph.linear(inner, f"{layer}.mlp.gate_proj")
        gate = graph.op("Mul", gate, graph.op("Sigmoid", gate))
        inner = graph.op("Mul", gate, graph.linear(inner, f"{layer}.mlp.up_proj"))
        x = graph.op("Add", x, graph.linear(inner, f"{layer}.mlp.down_proj"))
    last = graph.op("Gather", x, graph.constant([-1]))
    last = graph.rms_norm(last, "language_model.norm", text.rms_norm_eps)
    logits = graph.linear(last, "language_model.embed_tokens")  # the words' table turned round: the two are tied
    graph.op("Squeeze", logits, graph.constant([0]), name="logits")
    return graph.model(inputs, outputs)


def _embedded(graph: Graph, image_token: int) -> str:
    """The tokens as rows, the picture's features in the places that are kept for them, in order."""
    table = "language_model.embed_tokens.weight"
    graph.weight(table)
    words = graph.op("Cast", graph.op("Gather", table, "ids"), to=FLOAT)  # rows are cast, not the table
    pictured = graph.op("Equal", "ids", graph.constant(image_token))
    count = graph.op("CumSum", graph.op("Cast", pictured, to=INTS), graph.constant(0))
    place = graph.op("Max", graph.op("Sub", count, graph.constant(1)), graph.constant(0))
    features = graph.op("Gather", "features", place)
    return str(graph.op("Where", graph.op("Unsqueeze", pictured, graph.constant([1])), features, words))


def _places(graph: Graph, width: int, theta: float) -> tuple[tuple[str, str], str]:
    """Cosine and sine of the rotary places of the new tokens (n x width), and what hides later ones (n x total)."""
    zero, one = graph.constant(0), graph.constant(1)
    past = graph.op("Gather", graph.op("Shape", "key_0"), one)
    total = graph.op("Add", past, graph.op("Gather", graph.op("Shape", "ids"), zero))
    new = graph.op("Unsqueeze", graph.op("Range", past, total, one), graph.constant([1]))
    every = graph.op("Unsqueeze", graph.op("Range", zero, total, one), graph.constant([0]))
    speeds = np.float32(1) / np.float32(theta) ** (np.arange(0, width, 2, dtype=np.float32) / np.float32(width))
    angles = graph.op("Mul", graph.op("Cast", new, to=FLOAT), graph.constant(np.tile(speeds, 2)[None], np.float32))
    hidden = graph.op("Where", graph.op("Greater", every, new), graph.number(HIDDEN), graph.number(0))
    return (graph.op("Cos", angles), graph.op("Sin", angles)), hidden


def _turned(graph: Graph, x: str, turn: tuple[str, str]) -> str:
    """Rotary places (Su et al., arXiv 2104.09864) over heads x n x width, halves paired as Qwen2 has them."""
    first, second = graph.op("Split", x, outputs=2, axis=-1, num_outputs=2)
    swapped = graph.op("Concat", graph.op("Neg", second), first, axis=-1)
    return str(graph.op("Add", graph.op("Mul", x, turn[0]), graph.op("Mul", swapped, turn[1])))
