/** ModernBERT: a pre-norm encoder with rotary positions; most layers see a window only. */
import { activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build, SEQUENCE } from "./architecture.js";
import { attention, maskBias, reachedKeys, splitHeads, visibleKeys } from "./attention.js";
import type { Config } from "./config.js";
import { classify, firstToken, headsOn, labelsOf, output, vocabularyLogits } from "./heads.js";
import { layerTypes } from "./layer-types.js";
import type { Network } from "./network.js";
import { anglesOf, rotate, rotationOf } from "./rotary.js";

const KINDS = {
  full_attention: { theta: 160_000, thetaKey: "global_rope_theta" },
  sliding_attention: { theta: 10_000, thetaKey: "local_rope_theta" },
} as const;

function norm(net: Network, config: Config, x: string, path: string, size: number): string {
  return net.layerNorm(x, path, size, config.number("norm_eps", 1e-5), config.flag("norm_bias", false));
}

function body({ net, config }: Build): Body {
  const size = config.size("hidden_size", 768);
  const heads = config.size("num_attention_heads", 12);
  if (size % heads !== 0) throw config.wrong("num_attention_heads", `a divisor of hidden_size, ${size}`);
  const width = size / heads;
  const inner = config.size("intermediate_size", 1152);
  const activation = activationOf(config, "hidden_activation", "gelu");
  const attentionBias = config.flag("attention_bias", false);
  const mlpBias = config.flag("mlp_bias", false);
  const rows = config.size("vocab_size", 50368);
  const half = Math.floor(config.size("local_attention", 128) / 2);
  const every = config.size("global_attn_every_n_layers", 3);
  const types = layerTypes(config, config.layers("num_hidden_layers", 22), (layer) => layer % every !== 0);

  const ids = net.g.input("input_ids", "int64", [BATCH, SEQUENCE]);
  const mask = net.g.input("attention_mask", "int64", [BATCH, SEQUENCE]);
  const table = net.book.inside("embeddings.tok_embeddings");
  const words = net.embedding(ids, table, rows, size);
  let hidden = norm(net, config, words, net.book.inside("embeddings.norm"), size);
  const positions = net.positions(ids, 1);
  const visible = visibleKeys(net, mask);
  const kinds = new Map(
    [...new Set(types)].map((type) => {
      const reach = type === "sliding_attention" ? { ahead: half, behind: half } : {};
      return [
        type,
        {
          bias: maskBias(net, visible, reachedKeys(net, positions, positions, reach)),
          angles: anglesOf(
            net,
            positions,
            false,
            rotationOf(config, { width, layers: type, ...KINDS[type] }),
          ),
        },
      ] as const;
    }),
  );
  types.forEach((type, layer) => {
    const path = net.book.inside(`layers.${layer}`);
    const { bias, angles } = kinds.get(type)!;
    const normed = layer === 0 ? hidden : norm(net, config, hidden, `${path}.attn_norm`, size);
    const qkv = net.linear(normed, `${path}.attn.Wqkv`, size, 3 * size, attentionBias);
    const [q, k, v] = net.g
      .add("Split", [qkv], { axis: -1, num_outputs: 3 }, { outputs: 3 })
      .map((part) => splitHeads(net, part, heads, width)) as [string, string, string];
    const mixed = attention(net, rotate(net, q, angles, width), rotate(net, k, angles, width), v, {
      heads,
      keyHeads: heads,
      width,
      bias,
    });
    const middle = net.add(hidden, net.linear(mixed, `${path}.attn.Wo`, size, size, attentionBias));
    const again = norm(net, config, middle, `${path}.mlp_norm`, size);
    const wide = net.linear(again, `${path}.mlp.Wi`, size, 2 * inner, mlpBias);
    const [input, gate] = net.g.add("Split", [wide], { axis: -1, num_outputs: 2 }, { outputs: 2 });
    const gated = net.mul(net.activation(input!, activation), gate!);
    hidden = net.add(middle, net.linear(gated, `${path}.mlp.Wo`, inner, size, mlpBias));
  });
  hidden = norm(net, config, hidden, net.book.inside("final_norm"), size);
  return { hidden, size, mask, embeddings: { name: `${table}.weight`, rows, size } };
}

/** The dense layer that stands before every head. */
function prepared({ net, config }: Build, x: string, size: number): string {
  const dense = net.linear(x, "head.dense", size, size, config.flag("classifier_bias", false));
  return norm(
    net,
    config,
    net.activation(dense, activationOf(config, "classifier_activation", "gelu")),
    "head.norm",
    size,
  );
}

/** The mean over the tokens that the mask shows. */
function meanOfTokens(net: Network, hidden: string, mask: string): string {
  const weights = net.g.add("Unsqueeze", [net.cast(mask, net.dtype), net.ints(-1)]);
  const sum = net.g.add("ReduceSum", [net.mul(hidden, weights), net.ints(1)], { keepdims: 0 });
  return net.g.add("Div", [sum, net.g.add("ReduceSum", [weights, net.ints(1)], { keepdims: 0 })]);
}

export const MODERNBERT: Architecture = {
  prefix: "model",
  aside: /^(head|decoder|classifier)\./,
  heads: headsOn(body, {
    "masked-lm": (build, of) => {
      const bias = build.config.flag("decoder_bias", true) ? "decoder.bias" : undefined;
      vocabularyLogits(build, of, prepared(build, of.hidden, of.size), "decoder", { bias, tied: true });
    },
    "sequence-classification": (build, { hidden, size, mask }) => {
      const { net, config } = build;
      const pooling = config.oneOf("classifier_pooling", ["cls", "mean"], "cls");
      const pooled = pooling === "cls" ? firstToken(net, hidden) : meanOfTokens(net, hidden, mask!);
      classify(build, prepared(build, pooled, size), "classifier", size);
    },
    "token-classification": (build, { hidden, size }) => {
      const labels = labelsOf(build.config).length;
      const logits = build.net.linear(prepared(build, hidden, size), "classifier", size, labels);
      output(build.net, logits, "logits", BATCH, SEQUENCE, labels);
    },
  }),
};
