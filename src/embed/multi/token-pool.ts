/** Token pooling: neighbouring vectors of a text become one, by Ward's hierarchical clustering (Clavié et al. 2024). */
import { TenonError } from "../../base/index.js";
import { EmbedMatrix } from "../matrix.js";

export interface TokenPoolOptions {
  /** Vectors at the start that stay as they are. Default 1, the first special token's. */
  readonly keep?: number;
}

/**
 * About a `factor`th of the vectors: those behind the first `keep` are put into a `factor`th as many clusters, least added
 * variance first, and each cluster gives its mean. The order is that of each cluster's first vector. Time and memory grow with
 * the square of the rows. Throws USAGE.
 *
 * ```ts
 * const half = poolTokens(matrix, 2); // half the memory, nearly the same ranking
 * ```
 */
export function poolTokens(
  matrix: EmbedMatrix<Float32Array>,
  factor: number,
  options: TokenPoolOptions = {},
): EmbedMatrix<Float32Array> {
  const { keep = 1 } = options;
  if (!Number.isInteger(factor) || factor < 1)
    throw new TenonError("USAGE", { problem: "factor", given: String(factor), expected: "1 or more" });
  if (!Number.isInteger(keep) || keep < 0)
    throw new TenonError("USAGE", { problem: "keep", given: String(keep), expected: "0 or more" });
  const { rows, dims, truncated } = matrix;
  const count = rows - keep;
  if (factor === 1 || count <= 1) return matrix;
  const behind = matrix.data.subarray(keep * dims);
  const clusters = wardClusters(behind, count, dims, Math.max(1, Math.floor(count / factor)));
  const data = new Float32Array((keep + clusters.length) * dims);
  data.set(matrix.data.subarray(0, keep * dims));
  const tokens = new Uint32Array(keep + clusters.length).fill(1);
  clusters.forEach((members, i) => {
    const mean = data.subarray((keep + i) * dims, (keep + i + 1) * dims);
    for (const row of members) for (let j = 0; j < dims; j++) mean[j]! += behind[row * dims + j]!;
    for (let j = 0; j < dims; j++) mean[j]! /= members.length;
    tokens[keep + i] = members.length;
  });
  return new EmbedMatrix(data, keep + clusters.length, dims, tokens, truncated);
}

/** Rows of each of `wanted` clusters, by their first row. */
function wardClusters(data: Float32Array, count: number, dims: number, wanted: number): number[][] {
  const merges = wardMerges(squaredDistances(data, count, dims), count);
  // The dearest merges are left out.
  merges.sort((a, b) => a.cost - b.cost);
  const parent = Int32Array.from({ length: count }, (_, i) => i);
  const rootOf = (row: number): number => {
    let root = row;
    while (parent[root] !== root) root = parent[root]!;
    return root;
  };
  for (const { a, b } of merges.slice(0, count - wanted)) {
    const [x, y] = [rootOf(a), rootOf(b)];
    parent[Math.max(x, y)] = Math.min(x, y);
  }
  const clusters = new Map<number, number[]>();
  for (let row = 0; row < count; row++) {
    const root = rootOf(row);
    const members = clusters.get(root);
    if (members === undefined) clusters.set(root, [row]);
    else members.push(row);
  }
  return [...clusters.values()];
}

function squaredDistances(data: Float32Array, count: number, dims: number): Float64Array {
  const distances = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let k = i + 1; k < count; k++) {
      let sum = 0;
      for (let j = 0; j < dims; j++) sum += (data[i * dims + j]! - data[k * dims + j]!) ** 2;
      distances[i * count + k] = distances[k * count + i] = sum;
    }
  }
  return distances;
}

interface Merge {
  /** A row of each of both clusters. */
  readonly a: number;
  readonly b: number;
  readonly cost: number;
}

/** All merges, by chains of nearest neighbours (Murtagh 1983); distances follow the formula of Lance and Williams. */
function wardMerges(distances: Float64Array, count: number): Merge[] {
  const sizes = new Float64Array(count).fill(1);
  const merges: Merge[] = [];
  const chain: number[] = [];
  let first = 0;
  while (merges.length < count - 1) {
    if (chain.length === 0) {
      while (sizes[first] === 0) first++;
      chain.push(first);
    }
    const at = chain.at(-1)!;
    const before = chain.at(-2) ?? -1;
    // The one before it wins where it is as near.
    let nearest = before;
    let least = before < 0 ? Number.POSITIVE_INFINITY : distances[at * count + before]!;
    for (let k = 0; k < count; k++) {
      if (k === at || sizes[k] === 0) continue;
      const distance = distances[at * count + k]!;
      if (distance < least) {
        least = distance;
        nearest = k;
      }
    }
    if (nearest !== before) {
      chain.push(nearest);
      continue;
    }
    chain.length -= 2;
    const [kept, gone] = [Math.min(at, before), Math.max(at, before)];
    merges.push({ a: kept, b: gone, cost: least });
    const [n, m] = [sizes[kept]!, sizes[gone]!];
    for (let k = 0; k < count; k++) {
      if (k === kept || k === gone || sizes[k] === 0) continue;
      const s = sizes[k]!;
      const joined =
        ((n + s) * distances[kept * count + k]! + (m + s) * distances[gone * count + k]! - s * least) /
        (n + m + s);
      distances[kept * count + k] = distances[k * count + kept] = joined;
    }
    sizes[kept] = n + m;
    sizes[gone] = 0;
  }
  return merges;
}
