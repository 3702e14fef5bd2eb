"""ONNX Runtime with the same weights: `THREADS`, and lines as `turns.py` reads them.

The model is one `Gemm` per layer with a `Sigmoid` after each but the last, on the
provider of the CPU.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmark.networks.turns import Call, Prepare, rows_of, serve

_OPSET = 17
_IR_VERSION = 8


def write_model(weights: dict[str, NDArray[np.float32]]) -> bytes:
    """Write a stack of linear layers, in the order of their names in the file."""
    names = [name.removesuffix(".weight") for name in weights if "weight" in name]
    nodes, value = [], "rows"
    for index, name in enumerate(names):
        inputs = [value, f"{name}.weight", f"{name}.bias"]
        last = index == len(names) - 1
        value = "logits" if last else f"{name}.sum"
        nodes.append(helper.make_node("Gemm", inputs, [value], transB=1))
        if not last:
            nodes.append(helper.make_node("Sigmoid", [value], [f"{name}.signal"]))
            value = f"{name}.signal"
    features = weights[f"{names[0]}.weight"].shape[1]
    outputs = len(weights[f"{names[-1]}.bias"])
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", features])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", outputs])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    content: bytes = model.SerializeToString()
    return content


def load(path: Path, threads: int) -> Prepare:
    """Make a session of the weights in the `.npz` beside a checkpoint."""
    with np.load(path.with_suffix(".npz")) as file:
        content = write_model(dict(file))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    session: Any = onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )
    features = session.get_inputs()[0].shape[1]

    def prepare(count: int) -> Call:
        rows = rows_of(count, features).astype(np.float32)
        return lambda: session.run(["logits"], {"rows": rows})[0]

    return prepare


if __name__ == "__main__":
    serve(partial(load, threads=int(sys.argv[1])))
