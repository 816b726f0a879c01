"""Weights of an ONNX file as eight-bit integers, one scale per output channel; arithmetic stays in float32.

``Cast`` and ``Mul`` give the weights back: ONNX Runtime folds both when it loads the file, so nothing is
slower.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def shrink(model: Any, least: int = 2048) -> Any:
    """Replace every float32 initializer of a Conv, Gemm or MatMul with at least ``least`` numbers."""
    from onnx import TensorProto, helper, numpy_helper

    used = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            # Conv and Gemm (transB = 1) keep outputs in the first axis, MatMul in the last.
            transposed = any(a.name == "transB" and a.i == 1 for a in node.attribute)
            used[node.input[1]] = 0 if node.op_type == "Conv" or transposed else 1
    nodes, kept = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name not in used or values.dtype != np.float32 or values.size < least:
            kept.append(tensor)
            continue
        axis = used[tensor.name] if values.ndim == 2 else 0
        rest = tuple(k for k in range(values.ndim) if k != axis)
        scale = np.maximum(np.abs(values).max(axis=rest, keepdims=True), 1e-12) / 127
        integers = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
        name = tensor.name
        kept.append(numpy_helper.from_array(integers, f"{name}.int8"))
        kept.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"))
        nodes.append(helper.make_node("Cast", [f"{name}.int8"], [f"{name}.cast"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    rest_of_graph = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest_of_graph])
    return model
