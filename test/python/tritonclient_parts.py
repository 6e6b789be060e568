"""What the suites of tritonclient share: samples of datatypes, parts that are printed when they hold, what must be refused."""

import ml_dtypes
import numpy as np
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

# Each suite adds floats and texts that its protocol carries.
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
    "FP64": np.array([[0.1, -1.7976931348623157e308]], np.float64),
}


def part(name):
    def run(body):
        body()
        print(f"ok {name}", flush=True)

    return run


def tensor(module, name, array, datatype=None, **options):
    made = module.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array, **options)
    return made


def simple_inputs(module, start=0, **options):
    first = np.arange(start, start + 16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    inputs = [tensor(module, "INPUT0", first, **options), tensor(module, "INPUT1", second, **options)]
    return first, second, inputs


def same(got, wanted):
    assert got.shape == wanted.shape, (got.shape, wanted.shape)
    assert np.array_equal(got, wanted, equal_nan=wanted.dtype.kind == "f"), (got, wanted)


def refused(call, *texts, status):
    """`status`: that of HTTP, or the name of gRPC's."""
    try:
        call()
    except InferenceServerException as error:
        for text in texts:
            assert text in error.message(), (text, error.message())
        got = str(error.status()).removeprefix("StatusCode.")
        assert got == str(status), (status, got)
        return
    raise AssertionError("nothing was refused")


def shared_parts(module, client):
    """Parts that are the same over both protocols."""

    @part("health and readiness")
    def _():
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("simple") and client.is_model_ready("simple", "1")
        assert not client.is_model_ready("simple", "2") and not client.is_model_ready("nope")

    @part("BF16")
    def _():
        values = np.array([[1.0, -2.5, 3.0e38]], ml_dtypes.bfloat16)
        got = client.infer("identity_BF16", [tensor(module, "x", values, "BF16")]).as_numpy("y")
        assert np.array_equal(got.astype(np.float32), values.astype(np.float32)), got

    @part("classification")
    def _():
        array = np.array([[3.0, 9.0, 1.0, 5.0]], np.float32)
        outputs = [module.InferRequestedOutput("y", class_count=2)]
        got = client.infer("identity_FP32", [tensor(module, "x", array)], outputs=outputs).as_numpy("y")
        assert got.tolist() == [[b"9.000000:1", b"5.000000:3"]], got
        _, _, inputs = simple_inputs(module, 5)
        outputs = [module.InferRequestedOutput("OUTPUT0", class_count=1)]
        got = client.infer("simple", inputs, outputs=outputs).as_numpy("OUTPUT0")
        assert got.tolist() == [[b"21:15"]], got
