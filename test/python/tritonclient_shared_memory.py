"""tritonclient's shared memory, over HTTP and gRPC: prints a line for each part that held, then `done`."""

import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
import tritonclient.utils.shared_memory as shm

row = np.arange(16, dtype=np.int32).reshape(1, 16)

for module, address in ((http, sys.argv[1]), (grpc, sys.argv[2])):
    client = module.InferenceServerClient(address)
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    inputs = shm.create_shared_memory_region("in", f"/tenon_{module.__name__[-4:]}_in", 128)
    outputs = shm.create_shared_memory_region("out", f"/tenon_{module.__name__[-4:]}_out", 128)
    try:
        shm.set_shared_memory_region(inputs, [row, row])
        client.register_system_shared_memory("in", f"/tenon_{module.__name__[-4:]}_in", 128)
        client.register_system_shared_memory("out", f"/tenon_{module.__name__[-4:]}_out", 128)
        given = []
        for i in range(2):
            tensor = module.InferInput(f"INPUT{i}", [1, 16], "INT32")
            tensor.set_shared_memory("in", 64, offset=64 * i)
            given.append(tensor)
        wanted = module.InferRequestedOutput("OUTPUT0")
        wanted.set_shared_memory("out", 64, offset=64)
        client.infer("simple", given, outputs=[wanted])
        got = shm.get_contents_as_numpy(outputs, np.int32, [1, 16], offset=64)
        np.testing.assert_array_equal(got, row + row)
        status = client.get_system_shared_memory_status()
        names = [region["name"] for region in status] if module is http else list(status.regions)
        assert sorted(names) == ["in", "out"], names
        client.unregister_system_shared_memory("in")
        client.unregister_system_shared_memory()
        print(module.__name__)
    finally:
        shm.destroy_shared_memory_region(inputs)
        shm.destroy_shared_memory_region(outputs)
    client.close()
print("done")
