"""Sequences, ensembles, kept answers and settings through tritonclient, at argv[1] (HTTP) and argv[2] (gRPC)."""

import queue
import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient_parts import part

CLIENTS = {"http": http.InferenceServerClient(sys.argv[1]), "grpc": grpc.InferenceServerClient(sys.argv[2])}
MODULES = {"http": http, "grpc": grpc}


def tensor(kind, name, array, datatype):
    made = MODULES[kind].InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def step(kind, value):
    return [tensor(kind, "INPUT", np.array([[value]], np.int32), "INT32")]


for kind, client in CLIENTS.items():
    for model, ids in (("sequence", [11, 12]), ("texts", ["a", "b"])):

        @part(f"{kind}: the sequences of {model}")
        def _():
            totals = dict.fromkeys(ids, 0)
            for i, value in enumerate([5, 7, 9]):
                for id in ids:
                    totals[id] += value
                    result = client.infer(
                        model, step(kind, value), sequence_id=id, sequence_start=i == 0, sequence_end=i == 2
                    )
                    assert result.as_numpy("SUM").tolist() == [[totals[id]]], (id, i)

    @part(f"{kind}: the ensemble")
    def _():
        x = np.array([[1, 2, 3, 4]], np.float32)
        result = client.infer("whole", [tensor(kind, "IN", x, "FP32")])
        assert np.array_equal(result.as_numpy("OUT"), (2 * x) ** 2)

    @part(f"{kind}: trace settings")
    def _():
        given = {"as_json": True} if kind == "grpc" else {}
        changed = client.update_trace_settings(
            model_name="whole", settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "7"}, **given
        )
        told = client.get_trace_settings(model_name="whole", **given)
        assert told == changed
        rate = told["settings"]["trace_rate"]["value"] if kind == "grpc" else told["trace_rate"]
        assert rate in (["7"], "7"), told
        client.update_trace_settings(model_name="whole", settings={"trace_level": None, "trace_rate": None})

    @part(f"{kind}: log settings")
    def _():
        given = {"as_json": True} if kind == "grpc" else {}
        told = client.update_log_settings({"log_verbose_level": 0, "log_info": False}, **given)
        assert told == client.get_log_settings(**given)


@part("grpc: sequences in one stream")
def _():
    client, answers = CLIENTS["grpc"], queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put((result, error)))
    for i in range(4):
        for id in (21, 22, 23):
            client.async_stream_infer(
                "sequence", step("grpc", id), request_id=f"{id} {i}",
                sequence_id=id, sequence_start=i == 0, sequence_end=i == 3,
            )
    got = {}
    for _ in range(12):
        result, error = answers.get(timeout=60)
        assert error is None, error
        got[result.get_response().id] = int(result.as_numpy("SUM")[0, 0])
    client.stop_stream()
    assert got == {f"{id} {i}": id * (i + 1) for i in range(4) for id in (21, 22, 23)}, got


@part("kept answers are told in the statistics")
def _():
    x = np.array([[1, 2, 3, 4]], np.float32)
    for _ in range(3):
        CLIENTS["http"].infer("kept", [tensor("http", "x", x, "FP32")])
    [stats] = CLIENTS["http"].get_inference_statistics("kept")["model_stats"]
    counted = {name: stats["inference_stats"][name]["count"] for name in ("success", "cache_hit", "cache_miss")}
    # With the two requests of the ensemble, which ask for one output by name.
    assert counted == {"success": 5, "cache_hit": 3, "cache_miss": 2}, counted
    assert stats["execution_count"] == 2


print("done")
