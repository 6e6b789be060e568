/** Element types in which a network can compute. */
export type ComputeDType = "float32" | "float16" | "bfloat16";
