"""The model that every Python server of bench/serving.ts has behind it: ONNX Runtime with one thread in each worker.

The servers take the JSON of the Open Inference Protocol at ROUTE and are told what to do by the environment: PEER_FILE,
PEER_PORT and PEER_WORKERS. Each is written as its own guide has it.
"""

import os

import numpy
import onnxruntime

ROUTE = "/v2/models/mlp/infer"
PORT = int(os.environ["PEER_PORT"])
WORKERS = int(os.environ["PEER_WORKERS"])


def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(os.environ["PEER_FILE"], options, providers=["CPUExecutionProvider"])


def array(inputs):
    return numpy.asarray(inputs[0]["data"], numpy.float32).reshape(inputs[0]["shape"])


def answer(values):
    output = {"name": "y", "datatype": "FP32", "shape": list(values.shape), "data": values.reshape(-1).tolist()}
    return {"model_name": "mlp", "outputs": [output]}
