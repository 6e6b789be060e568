"""Reads paths of models from stdin; prints for each what strict shape inference of the onnx package knows, as JSON.

A line is {"path": ..., "error": ...} or {"path": ..., "types": {value: [dtype code, [size, symbol or null] or null]}}.
"""
import json
import sys

import onnx
from onnx import shape_inference


def known(value):
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return None
    dims = None
    if tensor.HasField("shape"):
        dims = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim]
    return [tensor.elem_type, dims]


for line in sys.stdin:
    path = line.rstrip("\n")
    model = onnx.load(path, load_external_data=False)
    del model.graph.value_info[:]
    try:
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # a model that the package cannot infer says nothing
        print(json.dumps({"path": path, "error": str(error)[:200]}))
        continue
    values = list(inferred.graph.value_info) + list(inferred.graph.output)
    types = {value.name: known(value) for value in values}
    print(json.dumps({"path": path, "types": {name: type for name, type in types.items() if type is not None}}))
