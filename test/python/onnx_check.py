"""Checks the ONNX files given as arguments with the onnx package, shapes inferred strictly; prints "PATH: error" for those that fail."""

import sys

import onnx

for path in sys.argv[1:]:
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:
        print(f"{path}: {error}".replace("\n", " ")[:600])
