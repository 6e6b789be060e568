/** The two encoder layers that most models use, with the names of their modules as data. */
import type { Activation } from "./activations.js";
import { attention, splitHeads } from "./attention.js";
import type { Network } from "./network.js";

export interface LayerNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly output: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly outputNorm: string;
}

export interface LayerOptions {
  readonly names: LayerNames;
  readonly size: number;
  readonly heads: number;
  readonly inner: number;
  readonly activation: Activation;
  readonly epsilon: number;
  /** Added to the scores. */
  readonly bias?: string | undefined;
  /** Whether the projections to queries, keys and values have biases. Default true. */
  readonly qkvBias?: boolean;
}

function selfAttention(net: Network, x: string, path: string, options: LayerOptions): string {
  const { names, size, heads, bias, qkvBias = true } = options;
  const width = size / heads;
  const split = (name: string): string =>
    splitHeads(net, net.linear(x, `${path}.${name}`, size, size, qkvBias), heads, width);
  const mixed = attention(net, split(names.query), split(names.key), split(names.value), {
    heads,
    keyHeads: heads,
    width,
    bias,
  });
  return net.linear(mixed, `${path}.${names.output}`, size, size);
}

function feedForward(net: Network, x: string, path: string, options: LayerOptions): string {
  const { names, size, inner, activation } = options;
  const hidden = net.activation(net.linear(x, `${path}.${names.up}`, size, inner), activation);
  return net.linear(hidden, `${path}.${names.down}`, inner, size);
}

/** Norms after each residual sum: BERT and its kin. */
export function postNormLayer(net: Network, x: string, path: string, options: LayerOptions): string {
  const { names, size, epsilon } = options;
  const attended = net.add(selfAttention(net, x, path, options), x);
  const middle = net.layerNorm(attended, `${path}.${names.attentionNorm}`, size, epsilon);
  const summed = net.add(feedForward(net, middle, path, options), middle);
  return net.layerNorm(summed, `${path}.${names.outputNorm}`, size, epsilon);
}
/** Norms before attention and feed-forward: ViT and CLIP. */
export function preNormLayer(net: Network, x: string, path: string, options: LayerOptions): string {
  const { names, size, epsilon } = options;
  const normed = net.layerNorm(x, `${path}.${names.attentionNorm}`, size, epsilon);
  const middle = net.add(selfAttention(net, normed, path, options), x);
  const again = net.layerNorm(middle, `${path}.${names.outputNorm}`, size, epsilon);
  return net.add(feedForward(net, again, path, options), middle);
}
