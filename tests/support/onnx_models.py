"""Small real ONNX models, built on the spot."""

import numpy as np
import onnx
from onnx import TensorProto, helper


def model(
    path,
    *,
    gain=8.0,
    bias=-4.0,
    layout="nchw",
    dtype=TensorProto.FLOAT,
    side=None,
    batch=None,
    columns=1,
    metadata=None,
    tail=(),
    shape=None,
    external=False,
):
    """A classifier whose logit of AI is ``gain × mean intensity + bias`` (intensity in [0, 1] for floats)."""
    n = batch or "n"
    size = [side or "h", side or "w"]
    dims = shape or ([n, 3, *size] if layout == "nchw" else [n, *size, 3])
    axes = [1, 2, 3]
    weights = np.zeros((1, columns), np.float32)
    weights[0, -1] = gain
    offsets = np.zeros(columns, np.float32)
    offsets[-1] = bias
    nodes = [
        helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast"], ["mean4"], axes=axes, keepdims=0),
        helper.make_node("Unsqueeze", ["mean4", "one"], ["mean"]),
        helper.make_node("MatMul", ["mean", "weights"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offsets"], ["logits"]),
        *tail,
    ]
    final = tail[-1].output[0] if tail else "logits"
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("pixels", dtype, dims)],
        [helper.make_tensor_value_info(final, TensorProto.FLOAT, None)],
        [
            helper.make_tensor("one", TensorProto.INT64, [1], [1]),
            helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True),
            helper.make_tensor("offsets", TensorProto.FLOAT, offsets.shape, offsets.tobytes(), raw=True),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 9
    if metadata:
        helper.set_model_props(proto, metadata)
    if external:
        onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        onnx.save(proto, path)
    return path


class View:
    """An image already in memory, seen the way the scan shows it."""

    def __init__(self, pixels):
        self.pixels = np.asarray(pixels, np.uint8)
        self.asked = []

    def crops(self, count, size):
        self.asked.append((count, size))
        h, w = self.pixels.shape[:2]
        corners = [(0, 0), (h - size, w - size), (0, w - size), (h - size, 0)][:count]
        return [self.pixels[y : y + size, x : x + size] for y, x in corners] if min(h, w) >= size else []


def noise(level, side=64, seed=0):
    """A textured picture of a given mean intensity in [0, 1]."""
    values = np.random.default_rng(seed).uniform(-0.1, 0.1, (side, side, 3)) + level
    return np.clip(values * 255, 0, 255).astype(np.uint8)
