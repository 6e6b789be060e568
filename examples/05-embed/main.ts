/** Notes that are found by what they mean. Usage: main.js FOLDER [question …], FOLDER with all-MiniLM-L6-v2 or another embedder. */
import { type EmbedMatrix, embedder } from "tenon/embed";
import { NOTES, QUESTIONS } from "./notes.js";

const [folder, ...asked] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: main.js FOLDER [question …]; see the README beside main.ts");
  process.exit(2);
}

/** The notes nearest to a question. Vectors have length 1: the product of two is the cosine of their angle. */
function nearest(question: ArrayLike<number>, notes: EmbedMatrix, count: number) {
  const scores = NOTES.map((note, row) => {
    const vector = notes.row(row);
    let score = 0;
    for (let i = 0; i < vector.length; i++) score += vector[i]! * question[i]!;
    return { note, score };
  });
  return scores.sort((a, b) => b.score - a.score).slice(0, count);
}

await using model = await embedder(folder);
const notes = await model.passages(NOTES);
console.log(
  `${notes.rows} notes, ${notes.tokens.reduce((a, b) => a + b)} tokens, ${notes.dims} numbers each`,
);
for (const question of asked.length > 0 ? asked : QUESTIONS) {
  console.log(question);
  for (const { note, score } of nearest(await model.query(question), notes, 2))
    console.log(`  ${score.toFixed(3)}  ${note}`);
}
