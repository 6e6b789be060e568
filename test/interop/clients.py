"""What users of the KServe SDK and of prometheus_client do, against the servers at argv[1] (HTTP) and argv[2] (gRPC)."""

import asyncio
import sys
import urllib.request

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from prometheus_client.parser import text_string_to_metric_families

HTTP, GRPC = sys.argv[1:3]
ROW = np.arange(16, dtype=np.int32).reshape(1, 16)


def request(binary):
    inputs = []
    for name in ("INPUT0", "INPUT1"):
        tensor = InferInput(name, [1, 16], "INT32")
        tensor.set_data_from_numpy(ROW, binary_data=binary)
        inputs.append(tensor)
    return InferRequest(model_name="simple", infer_inputs=inputs, request_id="mine")


def check(response):
    assert response.model_name == "simple" and response.id == "mine", response
    outputs = {output.name: output.as_numpy() for output in response.outputs}
    assert np.array_equal(outputs["OUTPUT0"], ROW + ROW) and np.array_equal(outputs["OUTPUT1"], ROW - ROW)


async def rest():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(HTTP) and await client.is_server_ready(HTTP)
    assert await client.is_model_ready(HTTP, "simple")
    assert not await client.is_model_ready(HTTP, "nope")
    for binary in (False, True):
        check(await client.infer(HTTP, request(binary), model_name="simple"))
    await client.close()
    print("kserve REST", flush=True)


async def grpc():
    async with InferenceGRPCClient(GRPC) as client:
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready("simple")
        for binary in (False, True):
            check(await client.infer(request(binary)))
    print("kserve gRPC", flush=True)


def metrics():
    text = urllib.request.urlopen(f"{HTTP}/metrics").read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    success = families["nv_inference_request_success"]
    [count] = [s.value for s in success.samples if s.labels["model"] == "simple"]
    assert success.type == "counter" and count == 4, success
    histogram = families["tenon_request_duration_seconds"]
    own = [s for s in histogram.samples if s.labels["model"] == "simple"]
    buckets = [s.value for s in own if s.name.endswith("_bucket")]
    assert histogram.type == "histogram" and buckets == sorted(buckets) and buckets[-1] == 4, own
    assert {s.name for s in own} == {f"tenon_request_duration_seconds{end}" for end in ("_bucket", "_sum", "_count")}
    print("prometheus_client", flush=True)


asyncio.run(rest())
asyncio.run(grpc())
metrics()
