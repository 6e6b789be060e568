/** Which files of a repository a model needs: configuration, tokenizer, and one set of weights. */

/** Weights in the order in which they are looked for; the first that is there counts. */
const WEIGHTS: readonly (readonly RegExp[])[] = [
  [/^model\.safetensors$/],
  [/^model\.safetensors\.index\.json$/, /^model-\d+-of-\d+\.safetensors$/],
  [/^pytorch_model\.bin$/],
  [/^pytorch_model\.bin\.index\.json$/, /^pytorch_model-\d+-of-\d+\.bin$/],
  [/^onnx\/model\.onnx$/, /^onnx\/model\.onnx_data(_\d+)?$/],
  [/^model\.onnx$/, /^model\.onnx(_|\.)data$/],
  [/^onnx\/model_quantized\.onnx$/],
];

/** Modules of sentence-transformers lie in folders with their number in front. */
const MODULE = /^\d+_[A-Za-z0-9]+\//;
const WORDS = /\.(json|txt|model)$/;
const OTHER = /(^|\/)(README|LICENSE|train_script|.*trainer_state|.*training_args|data_config).*$/i;

export function chooseFiles(files: readonly string[]): string[] {
  const words = files.filter(
    (file) =>
      WORDS.test(file) &&
      !OTHER.test(file) &&
      !/\.index\.json$/.test(file) &&
      (!file.includes("/") || MODULE.test(file)),
  );
  const modules = files.filter(
    (file) => MODULE.test(file) && /\/(model\.safetensors|pytorch_model\.bin)$/.test(file),
  );
  const ofModules = modules.filter(
    (file) =>
      file.endsWith(".safetensors") ||
      !modules.includes(file.replace(/pytorch_model\.bin$/, "model.safetensors")),
  );
  const set = WEIGHTS.find(([first]) => files.some((file) => first!.test(file)));
  if (set === undefined && ofModules.length === 0) return [];
  const weights = files.filter((file) => set?.some((pattern) => pattern.test(file)));
  return [...new Set([...words, ...ofModules, ...weights])];
}
