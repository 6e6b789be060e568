/** Storage: what holds a tensor's elements, by dtype. */
import type { DType, StorageOf } from "./dtype.js";
import type { StringStorage } from "./strings.js";

/** What stores a tensor of dtype D. */
export type Storage<D extends DType = DType> = D extends "string" ? StringStorage : StorageOf<D>;

/** What `data` of a dense tensor of dtype D is. */
export type DataOf<D extends DType> = D extends "string" ? readonly string[] : StorageOf<D>;
