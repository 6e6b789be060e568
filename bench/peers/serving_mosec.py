"""mosec, with batches of up to 32 that wait for a millisecond at most."""

import sys

import numpy
from mosec import Server, Worker
from serving_model import PORT, ROUTE, WORKERS, answer, array, session


class Infer(Worker):
    def __init__(self):
        self.session = session()

    def forward(self, data):
        rows = [array(body["inputs"]) for body in data]
        values = self.session.run(None, {"x": numpy.concatenate(rows)})[0]
        return [answer(values[i : i + 1]) for i in range(len(rows))]


if __name__ == "__main__":
    sys.argv = ["mosec", "--address", "127.0.0.1", "--port", str(PORT), "--log-level", "error"]
    server = Server()
    server.append_worker(Infer, num=WORKERS, max_batch_size=32, max_wait_time=1, route=ROUTE)
    server.run()
