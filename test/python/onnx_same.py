"""Reads pairs of files from stdin (original TAB written) and prints those that are not the same ONNX model.

Compared after parsing, as serialized messages. What has no meaning is made equal first: explicit default values,
the two names of the default domain, trailing absent inputs, and (below IR 4) inputs that only repeat an initializer.
"""
import sys

import onnx


def plain(message):
    """Clears singular scalars that are set to their default, at all depths; a dim's size keeps its presence."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                plain(inner)
        elif not field.is_repeated and value == field.default_value:
            if field.containing_oneof is None:
                message.ClearField(field.name)


def node_plain(node):
    if node.domain == "ai.onnx":
        node.domain = ""
    for names in (node.input, node.output):
        while len(names) > 0 and names[-1] == "":
            names.pop()
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            graph_plain(graph)


def graph_plain(graph):
    for node in graph.node:
        node_plain(node)


def load(path):
    model = onnx.load(path, load_external_data=False)
    graph_plain(model.graph)
    for opset in model.opset_import:
        if opset.domain == "ai.onnx":
            opset.domain = ""
    for function in model.functions:
        for node in function.node:
            node_plain(node)
    if model.ir_version < 4:
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in constants]
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    plain(model)
    return model


count = 0
for line in sys.stdin:
    original, written = line.rstrip("\n").split("\t")
    count += 1
    before, after = load(original), load(written)
    if before.SerializeToString(deterministic=True) != after.SerializeToString(deterministic=True):
        print("differs:", original)
print("compared", count)
