/** The architectures that are known, by the `model_type` of their config. */
import type { Architecture } from "./architecture.js";
import { BERT, CAMEMBERT, DATA2VEC_TEXT, ELECTRA, ROBERTA, XLM_ROBERTA } from "./bert.js";

export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  bert: BERT,
  roberta: ROBERTA,
  "xlm-roberta": XLM_ROBERTA,
  camembert: CAMEMBERT,
  "data2vec-text": DATA2VEC_TEXT,
  electra: ELECTRA,
};
