"""BentoML, with WORKERS processes."""

import os
import sys

import bentoml
from serving_model import PORT, ROUTE, WORKERS, answer, array, session


@bentoml.service(workers=WORKERS, logging={"access": {"enabled": False}})
class Infer:
    def __init__(self):
        self.session = session()

    @bentoml.api(route=ROUTE)
    def infer(self, inputs: list[dict]) -> dict:
        return answer(self.session.run(None, {"x": array(inputs)})[0])


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    program = os.path.join(os.path.dirname(sys.executable), "bentoml")
    os.execv(program, [program, "serve", "serving_bentoml:Infer", "--host", "127.0.0.1", "--port", str(PORT)])
