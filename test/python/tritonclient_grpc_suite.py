"""What a user of tritonclient does over gRPC, against the server at argv[1]; prints one line for each part that holds."""

import asyncio
import queue
import sys

import ml_dtypes
import numpy as np
import tritonclient.grpc as grpc
import tritonclient.grpc.aio as aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

URL = sys.argv[1]
client = grpc.InferenceServerClient(URL)

SAMPLES = {
    "BOOL": np.array([[True, False, True]]),
    "UINT8": np.array([[0, 255]], np.uint8),
    "UINT16": np.array([[0, 65535]], np.uint16),
    "UINT32": np.array([[0, 4294967295]], np.uint32),
    "UINT64": np.array([[0, 18446744073709551615]], np.uint64),
    "INT8": np.array([[-128, 127]], np.int8),
    "INT16": np.array([[-32768, 32767]], np.int16),
    "INT32": np.array([[-(2**31), 2**31 - 1]], np.int32),
    "INT64": np.array([[-(2**63), 2**63 - 1]], np.int64),
    "FP16": np.array([[0.5, -65504.0]], np.float16),
    "FP32": np.array([[0.1, -3.4028235e38, 1e-45, np.nan, np.inf]], np.float32),
    "FP64": np.array([[0.1, -1.7976931348623157e308]], np.float64),
    "BYTES": np.array([[b"", "ümläut\n".encode(), b"\xff\x00"]], dtype=np.object_),
}


def part(name):
    def run(body):
        body()
        print(f"ok {name}", flush=True)

    return run


def tensor(name, array, datatype=None, module=grpc):
    made = module.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array)
    return made


def simple_inputs(start=0, module=grpc):
    first = np.arange(start, start + 16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    return first, second, [tensor("INPUT0", first, module=module), tensor("INPUT1", second, module=module)]


def same(got, wanted):
    assert got.shape == wanted.shape, (got.shape, wanted.shape)
    assert np.array_equal(got, wanted, equal_nan=wanted.dtype.kind == "f"), (got, wanted)


def refused(call, text, status):
    try:
        call()
    except InferenceServerException as error:
        assert text in error.message(), (text, error.message())
        assert status in str(error.status()), (status, error.status())
        return
    raise AssertionError("nothing was refused")


@part("health and readiness")
def _():
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("simple") and client.is_model_ready("simple", "1")
    assert not client.is_model_ready("simple", "2") and not client.is_model_ready("nope")


@part("metadata")
def _():
    server = client.get_server_metadata()
    assert server.name == "triton" and "binary_tensor_data" in server.extensions
    model = client.get_model_metadata("simple")
    assert list(model.versions) == ["1"] and model.platform == "onnxruntime_onnx"
    first = model.inputs[0]
    assert (first.name, first.datatype, list(first.shape)) == ("INPUT0", "INT32", [-1, 16])
    refused(lambda: client.get_model_metadata("nope"), "Request for unknown model: 'nope' is not found", "NOT_FOUND")


for datatype, array in SAMPLES.items():

    @part(f"{datatype}")
    def _():
        result = client.infer(f"identity_{datatype}", [tensor("x", array, datatype)])
        same(result.as_numpy("y"), array)
        assert result.get_output("y").datatype == datatype


@part("BF16")
def _():
    values = np.array([[1.0, -2.5, 3.0e38]], ml_dtypes.bfloat16)
    got = client.infer("identity_BF16", [tensor("x", values, "BF16")]).as_numpy("y")
    assert np.array_equal(got.astype(np.float32), values.astype(np.float32)), got


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
    refused(lambda: client.infer("nope", inputs), "unknown model: 'nope' is not found", "NOT_FOUND")
    refused(lambda: client.infer("simple", inputs[:1]), "expected 2 inputs but got 1 inputs", "INVALID_ARGUMENT")
    refused(lambda: client.infer("simple", inputs, model_version="x"), "specified version string 'x'", "INVALID_ARGUMENT")
    refused(lambda: client.load_model("simple"), "explicit model load / unload is not allowed", "UNAVAILABLE")
    wrong = [tensor("INPUT0", np.ones((1, 16), np.float32)), inputs[1]]
    refused(lambda: client.infer("simple", wrong), "data-type is 'FP32', but model 'simple' expects 'INT32'", "INVALID_ARGUMENT")


@part("classification")
def _():
    array = np.array([[3.0, 9.0, 1.0, 5.0]], np.float32)
    outputs = [grpc.InferRequestedOutput("y", class_count=2)]
    got = client.infer("identity_FP32", [tensor("x", array)], outputs=outputs).as_numpy("y")
    assert got.tolist() == [[b"9.000000:1", b"5.000000:3"]], got
    _, _, inputs = simple_inputs(5)
    outputs = [grpc.InferRequestedOutput("OUTPUT0", class_count=1)]
    got = client.infer("simple", inputs, outputs=outputs).as_numpy("OUTPUT0")
    assert got.tolist() == [[b"21:15"]], got


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
    refused(lambda: client.register_system_shared_memory("r", "/r", 64), "shared memory extension is not enabled", "UNIMPLEMENTED")


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
