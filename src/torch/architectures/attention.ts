/** Attention over projected heads, with the masks that go with it. */
import type { Network } from "./network.js";

export interface Heads {
  readonly heads: number;
  /** Heads of keys and values; each serves `heads / keyHeads` heads of queries. */
  readonly keyHeads: number;
  /** Width of a head. */
  readonly width: number;
}

/** [batch, sequence, heads * width] → [batch, heads, sequence, width]. */
export function splitHeads(net: Network, x: string, heads: number, width: number): string {
  return net.transpose(net.reshape(x, 0, 0, heads, width), 0, 2, 1, 3);
}

/** [batch, heads, sequence, width] → [batch, sequence, heads * width]. */
function joinHeads(net: Network, x: string, heads: number, width: number): string {
  return net.reshape(net.transpose(x, 0, 2, 1, 3), 0, 0, heads * width);
}

/** Every head of keys or values as often as queries share it. */
function repeatHeads(net: Network, x: string, { heads, keyHeads, width }: Heads): string {
  if (heads === keyHeads) return x;
  const times = heads / keyHeads;
  const apart = net.g.add("Unsqueeze", [x, net.ints(2)]);
  const repeated = net.g.add("Expand", [apart, net.ints(1, 1, times, 1, 1)]);
  return net.reshape(repeated, 0, heads, -1, width);
}

export interface AttentionOptions extends Heads {
  /** Default 1 / √width. */
  readonly scale?: number;
  /** Added to the scores: masks, position biases. */
  readonly bias?: string | undefined;
  /** Scores are bent to ±cap by tanh before the mask. */
  readonly softcap?: number | undefined;
}

/** Bent to ±cap by tanh. */
export function softcapped(net: Network, x: string, cap: number | undefined): string {
  if (cap === undefined) return x;
  return net.mul(net.g.add("Tanh", [net.g.add("Div", [x, net.scalar(cap)])]), net.scalar(cap));
}

/** softmax(q kᵀ · scale + bias) v, of split heads; joined heads come back. */
export function attention(net: Network, q: string, k: string, v: string, options: AttentionOptions): string {
  const { heads, width, bias, softcap } = options;
  const keys = net.transpose(repeatHeads(net, k, options), 0, 1, 3, 2);
  const scaled = net.mul(q, net.scalar(options.scale ?? 1 / Math.sqrt(width)));
  let scores = net.g.add("MatMul", [scaled, keys]);
  scores = softcapped(net, scores, softcap);
  if (bias !== undefined) scores = net.add(scores, bias);
  const shares = net.g.add("Softmax", [scores], { axis: -1 });
  return joinHeads(net, net.g.add("MatMul", [shares, repeatHeads(net, v, options)]), heads, width);
}

/** True where a token may be looked at, as an additive bias: 0, else the lowest number. */
export function biasOf(net: Network, allowed: string): string {
  return net.g.add("Where", [allowed, net.scalar(0), net.scalar(net.lowest)]);
}

/** `attention_mask` [batch, keys] as booleans [batch, 1, 1, keys]. */
export function visibleKeys(net: Network, attentionMask: string): string {
  return net.g.add("Unsqueeze", [net.cast(attentionMask, "bool"), net.ints(1, 2)]);
}

/** How far ahead of and behind itself a query may look, in tokens; absent is everywhere. */
export interface Reach {
  readonly ahead?: number | undefined;
  readonly behind?: number | undefined;
}

/** True where a query reaches a key: [queries, keys], of their places along the sequence. Undefined: everywhere. */
export function reachedKeys(net: Network, queries: string, keys: string, reach: Reach): string | undefined {
  const { ahead, behind } = reach;
  if (ahead === undefined && behind === undefined) return undefined;
  const distance = net.g.add("Sub", [
    net.g.add("Unsqueeze", [keys, net.ints(0)]),
    net.g.add("Unsqueeze", [queries, net.ints(1)]),
  ]);
  const near = ahead === undefined ? undefined : net.g.add("LessOrEqual", [distance, net.int(ahead)]);
  if (behind === undefined) return near;
  const recent = net.g.add("GreaterOrEqual", [distance, net.int(-behind)]);
  return near === undefined ? recent : net.g.add("And", [near, recent]);
}

/** The additive bias of a padding mask and a reach. */
export function maskBias(net: Network, visible: string, reached: string | undefined): string {
  return biasOf(net, reached === undefined ? visible : net.g.add("And", [visible, reached]));
}
