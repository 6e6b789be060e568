/** Post-processing: which special tokens go around one text or a pair, and the type id of each part. */
import {
  countAt,
  flagAt,
  invalid,
  isPart,
  listAt,
  type Part,
  partAt,
  partsAt,
  textAt,
  typeOf,
  unsupported,
} from "./parts.js";

/** A text (0 or 1), or the ids of a special token. */
export interface TemplatePiece {
  readonly sequence: 0 | 1 | undefined;
  readonly ids: readonly number[];
  readonly typeId: number;
}

export interface Template {
  readonly single: readonly TemplatePiece[];
  readonly pair: readonly TemplatePiece[];
  /** Byte-level: the offsets of tokens leave white space out. */
  readonly trimOffsets: boolean;
  /** Byte-level, trimming: a space that was put before the text is no token of its own. */
  readonly addPrefixSpace: boolean;
}

const first: TemplatePiece = { sequence: 0, ids: [], typeId: 0 };
const second: TemplatePiece = { sequence: 1, ids: [], typeId: 1 };

const PLAIN: Template = { single: [first], pair: [first, second], trimOffsets: false, addPrefixSpace: false };

/** The template of a post-processor of tokenizer.json. Throws TOKENIZER_UNSUPPORTED for one that is not known. */
export function templateOf(part: Part | undefined): Template {
  if (part === undefined) return PLAIN;
  switch (typeOf(part)) {
    case "TemplateProcessing":
      return fromTemplate(part);
    case "BertProcessing": {
      const cls = special(part, "cls", 0);
      const sep = special(part, "sep", 0);
      return {
        ...PLAIN,
        single: [cls, first, sep],
        pair: [cls, first, sep, second, special(part, "sep", 1)],
      };
    }
    case "RobertaProcessing": {
      const cls = special(part, "cls", 0);
      const sep = special(part, "sep", 0);
      return {
        single: [cls, first, sep],
        pair: [cls, first, sep, sep, { ...second, typeId: 0 }, sep],
        trimOffsets: flagAt(part, "trim_offsets", true),
        addPrefixSpace: flagAt(part, "add_prefix_space", true),
      };
    }
    case "ByteLevel":
      return {
        ...PLAIN,
        trimOffsets: flagAt(part, "trim_offsets", true),
        addPrefixSpace: flagAt(part, "add_prefix_space", true),
      };
    case "Sequence":
      return joined(partsAt(part, "processors").map(templateOf));
    default:
      throw unsupported(`post-processor ${typeOf(part)}`);
  }
}

/** Of several, one may add tokens and one may trim. */
function joined(templates: readonly Template[]): Template {
  const adding = templates.filter((template) => template.single.length > 1);
  if (adding.length > 1) throw unsupported("post-processor Sequence that adds special tokens twice");
  if (templates.filter((template) => template.trimOffsets).length > 1)
    throw unsupported("post-processor Sequence that trims offsets twice");
  const trimming = templates.find((template) => template.trimOffsets);
  const { single, pair } = adding[0] ?? templates.find((template) => template.pair !== PLAIN.pair) ?? PLAIN;
  return {
    single,
    pair,
    trimOffsets: trimming !== undefined,
    addPrefixSpace: trimming?.addPrefixSpace ?? false,
  };
}

function special(part: Part, key: string, typeId: number): TemplatePiece {
  const value = listAt(part, key)[1];
  if (typeof value !== "number") throw invalid(`"${key}" is not a token and its id`);
  return { sequence: undefined, ids: [value], typeId };
}

function fromTemplate(part: Part): Template {
  const tokens = partAt(part, "special_tokens") ?? {};
  const pieces = (key: string): readonly TemplatePiece[] =>
    partsAt(part, key).map((piece) => {
      const sequence = partAt(piece, "Sequence");
      if (sequence !== undefined) {
        const id = textAt(sequence, "id");
        if (id !== "A" && id !== "B") throw invalid(`a template names the text "${id}"`);
        return { sequence: id === "A" ? 0 : 1, ids: [], typeId: countAt(sequence, "type_id", 0) };
      }
      const token = partAt(piece, "SpecialToken");
      if (token === undefined) throw invalid("a template holds neither a text nor a special token");
      const entry = tokens[textAt(token, "id")];
      if (!isPart(entry)) throw invalid(`a template names "${textAt(token, "id")}" without its ids`);
      const ids = listAt(entry, "ids");
      if (!ids.every((id) => typeof id === "number")) throw invalid("a template's ids are not numbers");
      return { sequence: undefined, ids: ids as readonly number[], typeId: countAt(token, "type_id", 0) };
    });
  return { ...PLAIN, single: pieces("single"), pair: pieces("pair") };
}
