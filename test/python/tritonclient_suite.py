"""What a user of tritonclient does over HTTP, against the server at argv[1]; prints one line for each part that holds."""

import sys

import numpy as np
import tritonclient.http as http
import tritonclient_parts as parts
from tritonclient_parts import part, refused

URL = sys.argv[1]
client = http.InferenceServerClient(URL, concurrency=4)

SAMPLES = {
    **parts.SAMPLES,
    "FP32": np.array([[0.1, -3.4028235e38, 1e-45, 3.0]], np.float32),
    "BYTES": np.array([["", "ümläut\n", '"quoted"']], dtype=np.object_),
}


def tensor(name, array, datatype=None, binary=True):
    return parts.tensor(http, name, array, datatype, binary_data=binary)


def simple_inputs(start=0):
    return parts.simple_inputs(http, start)


def same(got, wanted):
    if wanted.dtype == np.object_:
        got = np.array([[e if isinstance(e, str) else e.decode() for e in row] for row in got], dtype=np.object_)
    parts.same(got, wanted)


parts.shared_parts(http, client)


@part("metadata")
def _():
    server = client.get_server_metadata()
    assert server["name"] == "triton" and "binary_tensor_data" in server["extensions"]
    model = client.get_model_metadata("simple")
    assert model["versions"] == ["1"] and model["platform"] == "onnxruntime_onnx"
    assert model["inputs"][0] == {"name": "INPUT0", "datatype": "INT32", "shape": [-1, 16]}
    refused(lambda: client.get_model_metadata("nope"), "Request for unknown model: 'nope' is not found", status=404)


for datatype, array in SAMPLES.items():

    @part(f"{datatype} binary")
    def _():
        result = client.infer(f"identity_{datatype}", [tensor("x", array, datatype)])
        same(result.as_numpy("y"), array)
        assert result.get_output("y")["datatype"] == datatype

    if datatype != "FP16":

        @part(f"{datatype} JSON")
        def _():
            outputs = [http.InferRequestedOutput("y", binary_data=False)]
            result = client.infer(f"identity_{datatype}", [tensor("x", array, datatype, False)], outputs=outputs)
            same(result.as_numpy("y"), array)


@part("FP16 is refused as JSON")
def _():
    outputs = [http.InferRequestedOutput("y", binary_data=False)]
    refused(lambda: client.infer("identity_FP16", [tensor("x", SAMPLES["FP16"])], outputs=outputs), "FP16", status=400)


@part("configuration")
def _():
    config = client.get_model_config("simple")
    assert config["name"] == "simple" and config["backend"] == "onnxruntime" and config["max_batch_size"] > 1
    assert config["input"][0]["name"] == "INPUT0" and config["input"][0]["data_type"] == "TYPE_INT32"
    assert [int(dim) for dim in config["input"][0]["dims"]] == [16]
    assert config["version_policy"]["latest"]["num_versions"] == 1 and "dynamic_batching" in config


@part("statistics")
def _():
    def stats():
        return client.get_inference_statistics("identity_FP64")["model_stats"][0]

    def count(value):
        return int(value or 0)

    before = stats()
    array = np.ones((8, 4), np.float64)
    client.infer("identity_FP64", [tensor("x", array)])
    after = stats()
    assert count(after["inference_count"]) - count(before.get("inference_count")) == 8
    assert count(after["execution_count"]) - count(before.get("execution_count")) == 1
    success = count(after["inference_stats"]["success"]["count"])
    assert success - count(before["inference_stats"]["success"].get("count")) == 1
    assert count(after["inference_stats"]["compute_infer"]["ns"]) > 0
    assert 8 in [count(entry["batch_size"]) for entry in after["batch_stats"]]


@part("shared memory is off, and nothing stays registered")
def _():
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    refused(lambda: client.register_system_shared_memory("r", "/r", 64), "shared memory extension is not enabled", status=501)


@part("NaN and the infinities")
def _():
    array = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    for binary in (True, False):
        outputs = [http.InferRequestedOutput("y", binary_data=binary)]
        same(client.infer("identity_FP32", [tensor("x", array, binary=binary)], outputs=outputs).as_numpy("y"), array)


@part("bytes that are no text")
def _():
    array = np.array([[b"\xff\x00", b"a"]], dtype=np.object_)
    got = client.infer("identity_BYTES", [tensor("x", array)]).as_numpy("y")
    assert list(got[0]) == [b"\xff\x00", b"a"], got


@part("outputs asked for, binary and not")
def _():
    first, second, inputs = simple_inputs()
    outputs = [
        http.InferRequestedOutput("OUTPUT1", binary_data=False),
        http.InferRequestedOutput("OUTPUT0", binary_data=True),
    ]
    result = client.infer("simple", inputs, outputs=outputs, request_id="42", priority=1, timeout=10_000_000)
    same(result.as_numpy("OUTPUT0"), first + second)
    same(result.as_numpy("OUTPUT1"), first - second)
    assert result.get_response()["id"] == "42"
    only = client.infer("simple", inputs, outputs=outputs[:1])
    assert only.as_numpy("OUTPUT0") is None


@part("compression both ways")
def _():
    array = np.arange(4000, dtype=np.float32).reshape(1, 4000)
    for request in (None, "gzip", "deflate"):
        for response in (None, "gzip", "deflate"):
            for binary in (True, False):
                result = client.infer(
                    "identity_FP32",
                    [tensor("x", array, binary=binary)],
                    outputs=[http.InferRequestedOutput("y", binary_data=binary)],
                    request_compression_algorithm=request,
                    response_compression_algorithm=response,
                )
                same(result.as_numpy("y"), array)


@part("requests side by side")
def _():
    pending = [(start, client.async_infer("simple", simple_inputs(start)[2])) for start in range(64)]
    for start, request in pending:
        first, second, _ = simple_inputs(start)
        same(request.get_result().as_numpy("OUTPUT0"), first + second)


@part("a large tensor as JSON and binary")
def _():
    array = np.random.default_rng(1).standard_normal((1, 150_528)).astype(np.float32)
    for binary in (True, False):
        outputs = [http.InferRequestedOutput("y", binary_data=binary)]
        same(client.infer("identity_FP32", [tensor("x", array, binary=binary)], outputs=outputs).as_numpy("y"), array)


@part("inputs used again, custom headers, request parameters")
def _():
    first, second, inputs = simple_inputs(7)
    for _ in range(3):
        result = client.infer("simple", inputs, headers={"x-request-id": "again"}, parameters={"mine": 1, "flag": True})
        same(result.as_numpy("OUTPUT0"), first + second)


@part("a request made and answered by hand")
def _():
    _, _, inputs = simple_inputs()
    body, length = http.InferenceServerClient.generate_request_body(inputs)
    assert length is not None and len(body) > length


@part("errors")
def _():
    first, second, inputs = simple_inputs()
    refused(lambda: client.infer("nope", inputs), "unknown model: 'nope'", status=404)
    refused(lambda: client.infer("simple", inputs[:1]), "expected 2 inputs but got 1 inputs", "'INPUT1'", status=400)
    refused(lambda: client.infer("simple", inputs, outputs=[http.InferRequestedOutput("Z")]), "'Z'", status=400)
    wrong = tensor("INPUT0", first.astype(np.float32))
    refused(lambda: client.infer("simple", [wrong, inputs[1]]), "data-type is 'FP32'", "expects 'INT32'", status=400)
    narrow = tensor("INPUT0", np.ones((1, 15), np.int32))
    refused(lambda: client.infer("simple", [narrow, inputs[1]]), "Expected [-1,16], got [1,15]", status=400)
    inputs[0].set_shape([1, 15])
    refused(lambda: client.infer("simple", inputs), "Expected 60, got 64", status=400)


client.close()
print("done", flush=True)
