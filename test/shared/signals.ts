/** Synthetic sounds for the voice detector, cut into its chunks. */
import { type Tensor, tensor } from "tenon/tensor";

const RATE = 16_000;
const CHUNK = 512;
const CONTEXT = 64;
export const CHUNKS = 12;

type Signal = (time: number) => number;
export const SIGNALS: Readonly<Record<string, Signal>> = {
  silence: () => 0,
  tone: (time) => 0.5 * Math.sin(2 * Math.PI * 440 * time),
  noise: (time) => 0.3 * scatter(Math.round(time * RATE)),
  /** A buzz of 130 Hz with the resonances of a spoken "a". */
  vowel: (time) => {
    let sum = 0;
    for (let harmonic = 1; harmonic <= 20; harmonic++) {
      const frequency = 130 * harmonic;
      const near = (formant: number, width: number): number =>
        Math.exp(-(((frequency - formant) / width) ** 2));
      const gain = near(700, 150) + 0.7 * near(1200, 200) + 0.3 * near(2500, 250) + 0.05;
      sum += 0.25 * gain * Math.sin(2 * Math.PI * frequency * time);
    }
    return sum;
  },
};

/** A number in [-1, 1) that looks random and depends on `index` alone (the finalizer of MurmurHash3). */
function scatter(index: number): number {
  let hash = Math.imul(index ^ (index >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) / 2 ** 31;
}

/** The detector's inputs: each chunk of 512 samples behind the 64 samples before it, float32 [1, 576]. */
export function chunksOf(signal: Signal): Tensor<"float32">[] {
  const samples = new Float32Array(CONTEXT + CHUNKS * CHUNK);
  for (let i = CONTEXT; i < samples.length; i++) samples[i] = signal((i - CONTEXT) / RATE);
  return Array.from({ length: CHUNKS }, (_, chunk) =>
    tensor(samples.subarray(chunk * CHUNK, (chunk + 1) * CHUNK + CONTEXT), { shape: [1, CONTEXT + CHUNK] }),
  );
}
