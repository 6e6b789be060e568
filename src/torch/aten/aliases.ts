/** Ops of PyTorch that are another name of one in the table, with the same overloads and arguments. */

const ALIASES: Readonly<Record<string, string>> = {
  absolute: "abs",
  arccos: "acos",
  arccosh: "acosh",
  arcsin: "asin",
  arcsinh: "asinh",
  arctan: "atan",
  arctanh: "atanh",
  broadcast_to: "expand",
  concatenate: "cat",
  divide: "div",
  ger: "outer",
  greater: "gt",
  greater_equal: "ge",
  less: "lt",
  less_equal: "le",
  moveaxis: "movedim",
  multiply: "mul",
  negative: "neg",
  not_equal: "ne",
  positive: "alias",
  special_erf: "erf",
  special_exp2: "exp2",
  special_expit: "sigmoid",
  special_expm1: "expm1",
  special_log1p: "log1p",
  special_log_softmax: "log_softmax",
  special_logit: "logit",
  special_logsumexp: "logsumexp",
  special_round: "round",
  special_sinc: "sinc",
  special_softmax: "softmax",
  special_xlogy: "xlogy",
  subtract: "sub",
  true_divide: "div",
};

/** `aten.mul.Tensor` of `aten.multiply.Tensor`; other targets as they are. */
export function canonical(target: string): string {
  const [namespace, op, overload] = target.split(".");
  if (namespace !== "aten" || op === undefined || !Object.hasOwn(ALIASES, op)) return target;
  return `aten.${ALIASES[op]}.${overload}`;
}
