"""What a user of tritonclient does over gRPC, against the server at argv[1]; prints one line for each part that holds."""

import asyncio
import queue
import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.grpc.aio as aio
import tritonclient_parts as parts
from tritonclient_parts import part, refused, same

URL = sys.argv[1]
client = grpc.InferenceServerClient(URL)

SAMPLES = {
    **parts.SAMPLES,
    "FP32": np.array([[0.1, -3.4028235e38, 1e-45, np.nan, np.inf]], np.float32),
    "BYTES": np.array([[b"", "ümläut\n".encode(), b"\xff\x00"]], dtype=np.object_),
}


def tensor(name, array, datatype=None):
    return parts.tensor(grpc, name, array, datatype)


def simple_inputs(start=0, module=grpc):
    return parts.simple_inputs(module, start)


parts.shared_parts(grpc, client)


@part("metadata")
def _():
    server = client.get_server_metadata()
    assert server.name == "triton" and "binary_tensor_data" in server.extensions
    model = client.get_model_metadata("simple")
    assert list(model.versions) == ["1"] and model.platform == "onnxruntime_onnx"
    first = model.inputs[0]
    assert (first.name, first.datatype, list(first.shape)) == ("INPUT0", "INT32", [-1, 16])
    refused(lambda: client.get_model_metadata("nope"), "Request for unknown model: 'nope' is not found", status="NOT_FOUND")


for datatype, array in SAMPLES.items():

    @part(f"{datatype}")
    def _():
        result = client.infer(f"identity_{datatype}", [tensor("x", array, datatype)])
        same(result.as_numpy("y"), array)
        assert result.get_output("y").datatype == datatype


@part("compression")
def _():
    array = np.tile(np.arange(100, dtype=np.float32), (50, 20))
    for algorithm in ("gzip", "deflate"):
        same(client.infer("identity_FP32", [tensor("x", array)], compression_algorithm=algorithm).as_numpy("y"), array)


@part("large tensors")
def _():
    array = np.random.default_rng(1).random((4, 500_000), np.float32)
    same(client.infer("identity_FP32", [tensor("x", array)]).as_numpy("y"), array)


@part("requested outputs, ids and parameters")
def _():
    first, second, inputs = simple_inputs()
    outputs = [grpc.InferRequestedOutput("OUTPUT1")]
    result = client.infer("simple", inputs, outputs=outputs, request_id="7", parameters={"a": 1, "b": "c", "d": True})
    assert result.as_numpy("OUTPUT0") is None and result.get_response().id == "7"
    same(result.as_numpy("OUTPUT1"), first - second)


@part("input objects used again, and concurrent callbacks")
def _():
    first, second, inputs = simple_inputs()
    results = queue.Queue()
    for _ in range(50):
        client.async_infer("simple", inputs, lambda result, error: results.put((result, error)))
    for _ in range(50):
        result, error = results.get(timeout=20)
        assert error is None
        same(result.as_numpy("OUTPUT0"), first + second)


@part("errors")
def _():
    inputs = simple_inputs()[2]
    refused(lambda: client.infer("nope", inputs), "unknown model: 'nope' is not found", status="NOT_FOUND")
    refused(lambda: client.infer("simple", inputs[:1]), "expected 2 inputs but got 1 inputs", status="INVALID_ARGUMENT")
    refused(lambda: client.infer("simple", inputs, model_version="x"), "specified version string 'x'", status="INVALID_ARGUMENT")
    refused(lambda: client.load_model("simple"), "explicit model load / unload is not allowed", status="UNAVAILABLE")
    wrong = [tensor("INPUT0", np.ones((1, 16), np.float32)), inputs[1]]
    refused(lambda: client.infer("simple", wrong), "data-type is 'FP32', but model 'simple' expects 'INT32'", status="INVALID_ARGUMENT")


@part("configuration")
def _():
    config = client.get_model_config("simple", as_json=True)["config"]
    assert config["name"] == "simple" and config["backend"] == "onnxruntime" and config["max_batch_size"] > 1
    assert config["input"][0]["name"] == "INPUT0" and config["input"][0]["data_type"] == "TYPE_INT32"
    assert [int(dim) for dim in config["input"][0]["dims"]] == [16]
    assert config["version_policy"]["latest"]["num_versions"] == 1 and "dynamic_batching" in config


@part("statistics")
def _():
    def stats():
        return client.get_inference_statistics("identity_FP64", as_json=True)["model_stats"][0]

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
    refused(lambda: client.register_system_shared_memory("r", "/r", 64), "shared memory extension is not enabled", status="UNIMPLEMENTED")


@part("repository index")
def _():
    rows = client.get_model_repository_index().models
    assert any(row.name == "simple" and row.state == "READY" for row in rows)


@part("streaming")
def _():
    results = queue.Queue()
    first, second, _ = simple_inputs()
    client.start_stream(lambda result, error: results.put((result, error)))
    for start in range(100):
        client.async_stream_infer("simple", simple_inputs(start)[2], request_id=str(start), enable_empty_final_response=True)
    client.async_stream_infer("nope", simple_inputs()[2], request_id="bad")
    seen, failed = {}, 0
    for _ in range(101):
        result, error = results.get(timeout=20)
        if error is not None:
            assert "unknown model: 'nope'" in error.message()
            failed += 1
            continue
        response = result.get_response()
        assert response.parameters["triton_final_response"].bool_param
        seen[response.id] = result.as_numpy("OUTPUT0")
    client.stop_stream()
    assert failed == 1 and len(seen) == 100
    same(seen["41"], first + 41 + second)


@part("keepalive and headers")
def _():
    options = grpc.KeepAliveOptions(keepalive_time_ms=100, keepalive_timeout_ms=5000, http2_max_pings_without_data=0)
    other = grpc.InferenceServerClient(URL, keepalive_options=options)
    first, second, inputs = simple_inputs()
    same(other.infer("simple", inputs, headers={"x-request-id": "mine"}).as_numpy("OUTPUT0"), first + second)
    other.close()


@part("aio")
def _():
    async def go():
        async with aio.InferenceServerClient(URL) as other:
            assert await other.is_server_live()
            first, second, inputs = simple_inputs(3, aio)
            results = await asyncio.gather(*[other.infer("simple", inputs) for _ in range(20)])
            for result in results:
                same(result.as_numpy("OUTPUT0"), first + second)

            async def requests():
                for i in range(10):
                    yield {"model_name": "simple", "inputs": inputs, "request_id": str(i)}

            ids = []
            async for result, error in other.stream_infer(requests()):
                assert error is None
                ids.append(result.get_response().id)
            assert sorted(ids) == [str(i) for i in range(10)]

    asyncio.run(go())


client.close()
print("done")
