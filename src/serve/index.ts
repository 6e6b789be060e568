/** tenon/serve: models behind HTTP, in the dialect of the Open Inference Protocol v2. */
export {};
