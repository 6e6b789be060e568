"""A model of ONNX Runtime on Triton's Python backend, batched by Triton: the file lies beside this one."""

import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as utils


DATA_TYPES = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64"}


def open_session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.onnx")
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def declared(value):
    dims = [size if isinstance(size, int) else -1 for size in value.shape[1:]]
    return {"name": value.name, "data_type": DATA_TYPES[value.type], "dims": dims}


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        session = open_session()
        for value in session.get_inputs():
            config.add_input(declared(value))
        for value in session.get_outputs():
            config.add_output(declared(value))
        return config

    def initialize(self, args):
        self.session = open_session()
        self.inputs = [each.name for each in self.session.get_inputs()]
        self.outputs = [each.name for each in self.session.get_outputs()]

    def execute(self, requests):
        rows = {
            name: [utils.get_input_tensor_by_name(request, name).as_numpy() for request in requests]
            for name in self.inputs
        }
        made = self.session.run(None, {name: np.concatenate(given) for name, given in rows.items()})
        ends = np.cumsum([len(given) for given in rows[self.inputs[0]]])[:-1]
        parts = zip(*(np.split(output, ends) for output in made))
        return [
            utils.InferenceResponse([utils.Tensor(name, part) for name, part in zip(self.outputs, each)])
            for each in parts
        ]
