/**
 * Draws page.png: the rows of page-text.ts, turned by 1.5 degrees, with seeded noise, in 16 greys. Run once; page.png
 * is committed because SVG text needs fonts (DejaVu here), which a fresh machine may lack.
 * Usage: node build/examples/02-ocr/render-page.js [FILE], by default examples/02-ocr/page.png.
 */
import { resolve } from "node:path";
import sharp from "sharp";
import { PAGE_HEIGHT, PAGE_ROWS, PAGE_WIDTH, type PageRow } from "./page-text.js";

const ANGLE_DEGREES = 1.5;
const NOISE_DEVIATION = 10;
const SEED = 20260514;
const PAPER = "#eeeeee";
const INK = "#222222";
const FAMILIES = { serif: "DejaVu Serif, serif", sans: "DejaVu Sans, sans-serif" } as const;

/** mulberry32: a small generator of uniform numbers in [0, 1), the same sequence for the same seed everywhere. */
function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function svgOf(rows: readonly PageRow[]): string {
  const texts = rows.flatMap(({ y, size, family, bold, cells }) =>
    cells.map(
      ({ x, text }) =>
        `<text x="${x}" y="${y}" font-family="${FAMILIES[family]}" font-size="${size}"` +
        ` font-weight="${bold === true ? "bold" : "normal"}">${escapeXml(text)}</text>`,
    ),
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${PAGE_WIDTH}" height="${PAGE_HEIGHT}">` +
    `<rect width="100%" height="100%" fill="${PAPER}"/>` +
    `<g fill="${INK}" transform="rotate(${ANGLE_DEGREES} ${PAGE_WIDTH / 2} ${PAGE_HEIGHT / 2})">` +
    `${texts.join("")}</g></svg>`
  );
}

async function greyPixels(svg: string): Promise<Uint8Array> {
  return sharp(Buffer.from(svg)).flatten().toColourspace("b-w").raw().toBuffer();
}

/** Without fonts every glyph is missing or the same box: then "i" and "W" cover as many pixels. */
async function fontsWork(): Promise<boolean> {
  const [narrow, wide] = await Promise.all(
    ["iiii", "WWWW"].map(async (text) => {
      const row: PageRow = { y: 200, size: 60, family: "sans", cells: [{ x: 200, text }] };
      return (await greyPixels(svgOf([row]))).filter((grey) => grey < 128).length;
    }),
  );
  return wide! > 1.5 * narrow!;
}

/** Adds noise of a bell-like shape (the sum of three uniforms) and rounds to 16 greys, which keeps the file small. */
function addNoise(pixels: Uint8Array): void {
  const next = uniforms(SEED);
  for (let i = 0; i < pixels.length; i++) {
    const noise = (next() + next() + next() - 1.5) * 2 * NOISE_DEVIATION;
    pixels[i] = Math.min(15, Math.max(0, Math.round((pixels[i]! + noise) / 17))) * 17;
  }
}

if (!(await fontsWork())) {
  console.error(
    "No fonts are installed, so text cannot be drawn: install DejaVu (fonts-dejavu) and fontconfig.",
  );
  process.exitCode = 1;
} else {
  const file = process.argv[2] ?? resolve(import.meta.dirname, "../../../examples/02-ocr/page.png");
  const pixels = await greyPixels(svgOf(PAGE_ROWS));
  addNoise(pixels);
  const raw = { width: PAGE_WIDTH, height: PAGE_HEIGHT, channels: 1 } as const;
  const { size } = await sharp(pixels, { raw })
    .png({ palette: true, colours: 16, dither: 0, compressionLevel: 9, effort: 10 })
    .toFile(file);
  console.log(`${file}: ${PAGE_WIDTH} x ${PAGE_HEIGHT}, ${Math.round(size / 1024)} KB`);
}
