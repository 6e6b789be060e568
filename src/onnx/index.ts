/** tenon/onnx: ONNX files read, built, printed and written; loads no native code. */
export {};
