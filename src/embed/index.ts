/** tenon/embed: texts to vectors, and the tokenizers, model cards and graphs that this takes. */
export { type EncodeOptions, type Encoding, Tokenizer, type WindowOptions } from "./tokenizers/tokenizer.js";
