"""LitServe, one process for HTTP and WORKERS for the model."""

import litserve
from serving_model import PORT, ROUTE, WORKERS, answer, array, session


class Api(litserve.LitAPI):
    def setup(self, device):
        self.session = session()

    def decode_request(self, request):
        return array(request["inputs"])

    def predict(self, x):
        return self.session.run(None, {"x": x})[0]

    def encode_response(self, output):
        return answer(output)


if __name__ == "__main__":
    server = litserve.LitServer(Api(api_path=ROUTE), accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=PORT, num_api_servers=1, generate_client_file=False, log_level="warning")
