/** Heads that several architectures share. */
import { unsupported } from "../invalid.js";
import { type Architecture, BATCH, type Body, type Build, type Head, SEQUENCE } from "./architecture.js";
import { softcapped } from "./attention.js";
import type { Config } from "./config.js";
import type { Network } from "./network.js";

/** More classes than any model has: names are made for each. */
const MOST_LABELS = 2 ** 20;

/** Classes by their index, from `id2label`; the reference's own names where the config has none. */
export function labelsOf(config: Config): readonly string[] {
  const given = config.object("id2label");
  const count = given?.keys().length ?? config.size("num_labels", 2);
  if (count > MOST_LABELS) throw config.wrong("num_labels", `at most ${MOST_LABELS} classes`);
  return Array.from({ length: count }, (_, index) => {
    const label = given?.get(String(index));
    return label === undefined ? `LABEL_${index}` : String(label);
  });
}

/** The first token's vector, [batch, size]. */
export function firstToken(net: Network, hidden: string): string {
  return net.g.add("Gather", [hidden, net.int(0)], { axis: 1 });
}

export function output(net: Network, value: string, name: string, ...shape: (string | number)[]): void {
  net.g.output(value, name, { kind: "tensor", dtype: net.dtype, shape });
}

/** Logits per sequence from pooled vectors. */
export function classify(
  { net, config }: Build,
  pooled: string,
  path: string,
  size: number,
  bias = true,
): void {
  const labels = labelsOf(config).length;
  output(net, net.linear(pooled, path, size, labels, bias), "logits", BATCH, labels);
}

/** Logits per token: a linear layer called `classifier`. */
export function classifyTokens({ net, config }: Build, { hidden, size }: Body): void {
  const labels = labelsOf(config).length;
  output(net, net.linear(hidden, "classifier", size, labels), "logits", BATCH, SEQUENCE, labels);
}

/** Scores of each token as start and end of an answer. */
export function answerSpans({ net }: Build, { hidden, size }: Body): void {
  const scores = net.linear(hidden, "qa_outputs", size, 2);
  ["start_logits", "end_logits"].forEach((name, index) => {
    output(net, net.g.add("Gather", [scores, net.int(index)], { axis: 2 }), name, BATCH, SEQUENCE);
  });
}

/**
 * Logits over the vocabulary by a decoder that is tied to the embeddings unless the config says otherwise. A tied decoder
 * that the checkpoint holds beside the embeddings must be equal to them.
 */
export function vocabularyLogits(
  { net, config }: Build,
  body: Body,
  hidden: string,
  decoder: string,
  options: {
    readonly bias?: string | undefined;
    readonly tied: boolean;
    readonly softcap?: number | undefined;
  },
): void {
  const { name, rows, size } = body.embeddings!;
  const own = `${decoder}.weight`;
  const tied = config.flag("tie_word_embeddings", options.tied);
  if (tied && net.book.has(own) && !net.book.same(own, name)) {
    throw unsupported(`${config.where}: tie_word_embeddings is true, and the weights are not tied`, {
      given: `${own} differs from ${name}`,
      do: "set tie_word_embeddings to false if the decoder is to be used",
    });
  }
  const weight = net.weight(tied ? name : own, [rows, size]);
  const bias =
    options.bias === undefined ? undefined : net.weight(biasName(net, decoder, options.bias, tied), [rows]);
  const logits = net.project(hidden, weight, bias);
  output(net, softcapped(net, logits, options.softcap), "logits", BATCH, SEQUENCE, rows);
}

/** A decoder that is not tied has a bias of its own; the other one then lies unused in the checkpoint. */
function biasName(net: Network, decoder: string, shared: string, tied: boolean): string {
  const own = `${decoder}.bias`;
  const [first, second] = tied ? [shared, own] : [own, shared];
  return net.book.has(first) || !net.book.has(second) ? first : second;
}

/** Heads on one body, with the hidden states themselves where no head is asked for. */
export function headsOn(
  body: (build: Build) => Body,
  heads: { readonly [H in Exclude<Head, "none">]?: (build: Build, body: Body) => void },
): Architecture["heads"] {
  const entries = Object.entries(heads).map(
    ([name, head]) => [name, (build: Build) => head(build, body(build))] as const,
  );
  return {
    none: (build) => {
      const { hidden, size, length, outputs } = body(build);
      output(build.net, hidden, "last_hidden_state", BATCH, length ?? SEQUENCE, size);
      outputs?.();
    },
    ...Object.fromEntries(entries),
  };
}
