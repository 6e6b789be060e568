/**
 * The side of tfjs (wasm) or jax-js in the training bench: `node train_js.mjs tfjs|jax-js FOLDER`, whose packages
 * scripts/training-peers.sh put there. For each line `case threads steps` on stdin one line of JSON, as the others answer.
 * Plain JavaScript, since these packages are no dependencies of ours.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [, , library, folder] = process.argv;
const require = createRequire(join(folder, "package.json"));
const scattered = (length) => Float32Array.from({ length }, (_, i) => (((i * 7919) % 10007) / 10007) * 2 - 1);
const numbered = (length, of) => Int32Array.from({ length }, (_, i) => of(i));
/** Normal numbers of this deviation. */
const normals = (length, deviation) =>
  Float32Array.from(
    { length },
    () => deviation * Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()),
  );

const PERCEPTRONS = {
  mlp: { widths: [784, 512, 256, 10], rows: 128 },
  tiny: { widths: [16, 32, 2], rows: 32 },
};
const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1000;

async function tfjs() {
  const tf = require("@tensorflow/tfjs");
  const { setWasmPaths } = require("@tensorflow/tfjs-backend-wasm");
  setWasmPaths(`${join(folder, "node_modules/@tensorflow/tfjs-backend-wasm/dist")}/`);
  await tf.setBackend("wasm");
  const variable = (shape, fan) =>
    tf.variable(
      tf.tensor(
        normals(
          shape.reduce((a, b) => a * b, 1),
          1 / Math.sqrt(fan),
        ),
        shape,
      ),
    );
  const filled = (shape, value) => tf.variable(tf.fill(shape, value));
  const oneHot = (length, classes, of) =>
    tf.oneHot(tf.tensor1d(numbered(length, of), "int32"), classes).toFloat();
  const dense = (from, to) => {
    const [w, b] = [variable([from, to], from), filled([to], 0)];
    return (x) => x.reshape([-1, from]).matMul(w).add(b);
  };
  const stepper = (forward, y) => {
    const optimizer = tf.train.adam(1e-3);
    return async () => {
      const loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y, forward()), true);
      const [value] = await loss.data();
      loss.dispose();
      return value;
    };
  };
  const perceptron = ({ widths, rows }) => {
    const layers = widths.slice(1).map((to, i) => dense(widths[i], to));
    const x = tf.tensor(scattered(rows * widths[0]), [rows, widths[0]]);
    const y = oneHot(rows, widths.at(-1), (i) => i % widths.at(-1));
    return stepper(() => layers.reduce((h, layer, i) => (i === 0 ? layer(h) : layer(h.relu())), x), y);
  };
  const cnn = () => {
    const kernels = [variable([3, 3, 1, 32], 9), variable([3, 3, 32, 64], 288)];
    const biases = [filled([32], 0), filled([64], 0)];
    const head = dense(3136, 10);
    const x = tf.tensor(scattered(64 * 784), [64, 28, 28, 1]);
    return stepper(
      () =>
        head(
          kernels.reduce((h, k, i) => h.conv2d(k, 1, "same").add(biases[i]).relu().maxPool(2, 2, "valid"), x),
        ),
      oneHot(64, 10, (i) => i % 10),
    );
  };
  const transformer = () => {
    const tokens = variable([1000, 128], 2500);
    const positions = variable([64, 128], 2500);
    const norm = () => {
      const [w, b] = [filled([128], 1), filled([128], 0)];
      return (x) => {
        const { mean, variance } = tf.moments(x, -1, true);
        return x.sub(mean).div(variance.add(1e-5).sqrt()).mul(w).add(b);
      };
    };
    const blocks = [0, 1].map(() => {
      const [n1, n2, q, k, v, o] = [norm(), norm(), ...[0, 1, 2, 3].map(() => dense(128, 128))];
      const [up, down] = [dense(128, 512), dense(512, 128)];
      const split = (h) => h.reshape([32, 64, 4, 32]).transpose([0, 2, 1, 3]);
      return (x) => {
        const h = n1(x);
        const scores = tf.matMul(split(q(h)), split(k(h)), false, true).mul(1 / Math.sqrt(32));
        const mixed = tf.matMul(tf.softmax(scores), split(v(h)));
        const after = x.add(o(mixed.transpose([0, 2, 1, 3])));
        const wide = up(n2(after));
        return after.add(down(wide.mul(wide.mul(Math.SQRT1_2).erf().add(1).mul(0.5))));
      };
    });
    const head = dense(128, 1000);
    // The wasm backend has no gradient of `gather`.
    const ids = oneHot(2048, 1000, (i) => (i * 7) % 1000);
    const begin = () => ids.matMul(tokens).reshape([32, 64, 128]).add(positions).reshape([2048, 128]);
    return stepper(
      () => head(blocks.reduce((h, block) => block(h), begin())),
      oneHot(2048, 1000, (i) => (i * 21) % 1000),
    );
  };
  const cases = {
    mlp: () => perceptron(PERCEPTRONS.mlp),
    tiny: () => perceptron(PERCEPTRONS.tiny),
    cnn,
    transformer,
  };
  return { version: `tfjs ${tf.version.tfjs} wasm`, cases };
}

async function jaxJs() {
  const { version } = JSON.parse(readFileSync(join(folder, "node_modules/@jax-js/jax/package.json"), "utf8"));
  const {
    numpy: np,
    nn,
    lax,
    jit,
    valueAndGrad,
    tree,
    blockUntilReady,
    init,
    defaultDevice,
  } = require("@jax-js/jax");
  await init("wasm");
  defaultDevice("wasm");
  const array = (values, shape) => np.array(values).reshape(shape);
  const weight = (shape, fan) =>
    array(
      normals(
        shape.reduce((a, b) => a * b, 1),
        1 / Math.sqrt(fan),
      ),
      shape,
    );
  const dense = (from, to) => ({ w: weight([from, to], from), b: np.zeros([to]) });
  const apply = (x, { w, b }) => np.matmul(x, w).add(b);
  const oneHot = (length, classes, of) =>
    nn.oneHot(np.array(numbered(length, of)), classes).astype(np.float32);
  /** `forward` takes parameters and x for itself and gives logits. */
  const stepper = (start, x, y, rows, forward) => {
    const loss = (params, input, target) =>
      nn
        .logSoftmax(forward(params, input), -1)
        .mul(target)
        .sum()
        .mul(-1 / rows);
    const update = jit((params, m, v, input, target, scalars) => {
      const [value, gradients] = valueAndGrad(loss)(tree.ref(params), input, target);
      const [p, shape] = tree.flatten(params);
      const [g, ms, vs] = [gradients, m, v].map((each) => tree.flatten(each)[0]);
      const [rate, root] = [scalars.ref.slice(0), scalars.slice(1)];
      const next = p.map((each, i) => {
        const mean = ms[i].mul(0.9).add(g[i].ref.mul(0.1));
        const square = vs[i].mul(0.999).add(np.square(g[i]).mul(0.001));
        const step = mean.ref.mul(rate.ref).div(np.sqrt(square.ref).mul(root.ref).add(1e-8));
        return [each.sub(step), mean, square];
      });
      rate.dispose();
      root.dispose();
      const part = (k) =>
        tree.unflatten(
          shape,
          next.map((each) => each[k]),
        );
      return [value, part(0), part(1), part(2)];
    });
    const zeros = () => tree.map((each) => np.zeros(each.shape), start);
    let [params, m, v] = [start, zeros(), zeros()];
    let step = 0;
    return async () => {
      step++;
      const scalars = np.array(Float32Array.of(1e-3 / (1 - 0.9 ** step), 1 / Math.sqrt(1 - 0.999 ** step)));
      let value;
      [value, params, m, v] = update(params, m, v, x.ref, y.ref, scalars);
      await blockUntilReady(params);
      return (await value.data())[0];
    };
  };
  const perceptron = ({ widths, rows }) =>
    stepper(
      widths.slice(1).map((to, i) => dense(widths[i], to)),
      array(scattered(rows * widths[0]), [rows, widths[0]]),
      oneHot(rows, widths.at(-1), (i) => i % widths.at(-1)),
      rows,
      (layers, x) => layers.reduce((h, layer, i) => apply(i === 0 ? h : nn.relu(h), layer), x),
    );
  const cnn = () =>
    stepper(
      {
        a: { w: weight([32, 1, 3, 3], 9), b: np.zeros([32, 1, 1]) },
        b: { w: weight([64, 32, 3, 3], 288), b: np.zeros([64, 1, 1]) },
        c: dense(3136, 10),
      },
      array(scattered(64 * 784), [64, 1, 28, 28]),
      oneHot(64, 10, (i) => i % 10),
      64,
      ({ a, b, c }, x) => {
        const layer = (h, { w, b: bias }, channels, size) =>
          nn
            .relu(lax.conv(h, w, [1, 1], "SAME").add(bias))
            .reshape([64, channels, size / 2, 2, size / 2, 2])
            .max([3, 5]);
        return apply(layer(layer(x, a, 32, 28), b, 64, 14).reshape([64, 3136]), c);
      },
    );
  const transformer = () => {
    const block = () => ({
      n1: { w: np.ones([128]), b: np.zeros([128]) },
      n2: { w: np.ones([128]), b: np.zeros([128]) },
      ...Object.fromEntries(["q", "k", "v", "o"].map((name) => [name, dense(128, 128)])),
      up: dense(128, 512),
      down: dense(512, 128),
    });
    const norm = (x, { w, b }) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(w).add(b);
    const split = (h) => h.reshape([32, 64, 4, 32]).transpose([0, 2, 1, 3]);
    const run = (x, { n1, n2, q, k, v, o, up, down }) => {
      const h = norm(x.ref, n1);
      const scores = np.matmul(split(apply(h.ref, q)), split(apply(h.ref, k)).transpose([0, 1, 3, 2]));
      const mixed = np.matmul(nn.softmax(scores.mul(1 / Math.sqrt(32)), -1), split(apply(h, v)));
      const after = x.add(apply(mixed.transpose([0, 2, 1, 3]).reshape([2048, 128]), o));
      return after.ref.add(apply(nn.gelu(apply(norm(after, n2), up), { approximate: false }), down));
    };
    return stepper(
      {
        tokens: weight([1000, 128], 2500),
        positions: weight([1, 64, 128], 2500),
        blocks: [block(), block()],
        head: dense(128, 1000),
      },
      oneHot(2048, 1000, (i) => (i * 7) % 1000),
      oneHot(2048, 1000, (i) => (i * 21) % 1000),
      2048,
      ({ tokens, positions, blocks, head }, x) => {
        const begin = np.matmul(x, tokens).reshape([32, 64, 128]).add(positions).reshape([2048, 128]);
        return apply(blocks.reduce(run, begin), head);
      },
    );
  };
  const cases = {
    mlp: () => perceptron(PERCEPTRONS.mlp),
    tiny: () => perceptron(PERCEPTRONS.tiny),
    cnn,
    transformer,
  };
  return { version: `jax-js ${version}`, cases };
}

const { version, cases } = library === "tfjs" ? await tfjs() : await jaxJs();
const before = resident();
const made = {};
console.log(version);
for await (const line of createInterface(process.stdin)) {
  const [name, , steps] = line.split(" ");
  const wall = [];
  const cpu = [];
  try {
    made[name] ??= cases[name]();
    let loss;
    for (let i = 0; i < Number(steps); i++) {
      const [start, used] = [performance.now(), process.cpuUsage()];
      loss = await made[name]();
      wall.push(performance.now() - start);
      const { user, system } = process.cpuUsage(used);
      cpu.push((user + system) / 1000);
    }
    console.log(JSON.stringify({ wall, cpu, gained: resident() - before, loss }));
  } catch (error) {
    console.log(JSON.stringify({ failed: String(error.message ?? error).slice(0, 200) }));
  }
}
