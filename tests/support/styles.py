"""Small real style networks, built on the spot."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper


def network(path, inputs=("picture", "style"), kind=TensorProto.FLOAT, scale=0.5):
    """Mixes picture and style half and half (or darkens the picture, where it has one input)."""
    values = [helper.make_tensor_value_info(name, kind, [1, 3, "h", "w"]) for name in inputs]
    nodes = [helper.make_node("Mul", [inputs[0], "half"], ["a"])]
    last = "a"
    if len(inputs) > 1:
        nodes += [
            helper.make_node("ReduceMean", [inputs[1]], ["mean"], axes=[2, 3], keepdims=1),
            helper.make_node("Mul", ["mean", "half"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["made"]),
        ]
        last = "made"
    graph = helper.make_graph(
        nodes,
        "style",
        values,
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        [helper.make_tensor("half", TensorProto.FLOAT, [1], [scale])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 9
    onnx.save(proto, path)
    return path
