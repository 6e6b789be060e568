"""The models of the comparison as Triton's Python backend runs them; the folder's name says which."""

import json

import numpy as np
import triton_python_backend_utils as utils


class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_name"]
        self.config = json.loads(args["model_config"])
        self.sums = {}

    def execute(self, requests):
        return [utils.InferenceResponse(self.run(request)) for request in requests]

    def run(self, request):
        def given(name):
            return utils.get_input_tensor_by_name(request, name).as_numpy()

        def made(name, array):
            return utils.Tensor(name, array)

        if self.name.startswith("simple"):
            a, b = given("INPUT0"), given("INPUT1")
            return [made("OUTPUT0", a + b), made("OUTPUT1", a - b)]
        if self.name.startswith("sequence"):
            key = str(given("CORRID").reshape(-1)[0])
            start = int(given("START").reshape(-1)[0]) == 1
            self.sums[key] = given("INPUT") + (0 if start else self.sums.get(key, 0))
            return [made("SUM", self.sums[key].astype(np.int32))]
        return [made("y", given("x"))]
