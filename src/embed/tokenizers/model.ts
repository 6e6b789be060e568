/** The model of a tokenizer.json: its vocabulary, and how words become tokens. */
import { bytePair } from "./byte-pair.js";
import { countAt, flagAt, invalid, isPart, listAt, type Part, textAt, unsupported } from "./parts.js";
import type { TableStore } from "./tables.js";
import type { WordModel } from "./tokens.js";
import { unigram } from "./unigram.js";
import { inParts } from "./unigram-parts.js";
import { Vocabulary } from "./vocabulary.js";
import { wordLevel } from "./word-level.js";
import { wordPiece } from "./word-piece.js";

export interface ModelOfWords {
  readonly words: WordModel;
  readonly vocabulary: Vocabulary;
}

export function modelOf(part: Part, byteLevel: boolean, store: TableStore): ModelOfWords {
  const kind = modelKind(part);
  switch (kind) {
    case "WordPiece": {
      const vocabulary = vocabularyOf(part);
      return {
        vocabulary,
        words: wordPiece({
          vocabulary,
          store,
          unknown: required(vocabulary, textAt(part, "unk_token", "[UNK]")),
          prefix: textAt(part, "continuing_subword_prefix", "##"),
          longestWord: countAt(part, "max_input_chars_per_word", 100),
        }),
      };
    }
    case "BPE": {
      const vocabulary = vocabularyOf(part);
      if (typeof part.dropout === "number" && part.dropout > 0) throw unsupported("BPE with dropout");
      const unknown = part.unk_token;
      return {
        vocabulary,
        words: bytePair({
          vocabulary,
          store,
          merges: listAt(part, "merges"),
          byteLevel,
          unknown: typeof unknown === "string" ? required(vocabulary, unknown) : undefined,
          fuseUnknown: flagAt(part, "fuse_unk", false),
          byteFallback: flagAt(part, "byte_fallback", false),
          ignoreMerges: flagAt(part, "ignore_merges", false),
          prefix: textAt(part, "continuing_subword_prefix", ""),
          suffix: textAt(part, "end_of_word_suffix", ""),
        }),
      };
    }
    case "Unigram": {
      const pieces = listAt(part, "vocab") as readonly (readonly [string, number])[];
      pieces.forEach((piece, id) => {
        if (!Array.isArray(piece) || typeof piece[0] !== "string" || typeof piece[1] !== "number")
          throw invalid(`entry ${id} of the vocabulary is not a token and its score`);
      });
      const vocabulary = new Vocabulary(
        pieces.map(([token]) => token),
        (id) => id,
      );
      const unknown = part.unk_id;
      return {
        vocabulary,
        words: inParts(
          unigram({
            pieces,
            vocabulary,
            store,
            unknown: typeof unknown === "number" && unknown < pieces.length ? unknown : undefined,
            byteFallback: flagAt(part, "byte_fallback", false),
          }),
          vocabulary,
        ),
      };
    }
    case "WordLevel": {
      const vocabulary = vocabularyOf(part);
      return { vocabulary, words: wordLevel(vocabulary, vocabulary.get(textAt(part, "unk_token", "<unk>"))) };
    }
    default:
      throw unsupported(`model ${kind}`);
  }
}

/** Old files do not name the model. */
export function modelKind(part: Part): string {
  if (typeof part.type === "string") return part.type;
  if (Array.isArray(part.vocab)) return "Unigram";
  if (part.merges !== undefined) return "BPE";
  if (part.max_input_chars_per_word !== undefined || part.continuing_subword_prefix !== undefined)
    return "WordPiece";
  return "WordLevel";
}

function vocabularyOf(part: Part): Vocabulary {
  const { vocab } = part;
  if (!isPart(vocab)) throw invalid("the model has no vocabulary");
  const tokens = Object.keys(vocab);
  return new Vocabulary(tokens, (index) => vocab[tokens[index]!]);
}

function required(vocabulary: Vocabulary, token: string): number {
  const id = vocabulary.get(token);
  if (id === undefined) throw invalid(`the unknown token "${token}" is not in the vocabulary`);
  return id;
}
