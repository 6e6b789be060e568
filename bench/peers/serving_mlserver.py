"""MLServer, with WORKERS processes for the model beside the one for HTTP."""

import json
import os
import sys
import tempfile

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from serving_model import PORT, WORKERS, session


class Runtime(MLModel):
    async def load(self):
        self.session = session()
        return True

    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        values = self.session.run(None, {"x": x})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", values)])


if __name__ == "__main__":
    folder = tempfile.mkdtemp(prefix="tenon-mlserver-")
    ports = {"http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2}
    settings = {"host": "127.0.0.1", "parallel_workers": WORKERS, "debug": False, **ports}
    model = {"name": "mlp", "implementation": "serving_mlserver.Runtime"}
    for name, content in (("settings", settings), ("model-settings", model)):
        with open(os.path.join(folder, f"{name}.json"), "w") as out:
            json.dump(content, out)
    os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
    program = os.path.join(os.path.dirname(sys.executable), "mlserver")
    os.execv(program, [program, "start", folder])
