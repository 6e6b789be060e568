/** The architectures that are known, by the `model_type` of their config. */
import type { Architecture } from "./architecture.js";
import { BERT, CAMEMBERT, DATA2VEC_TEXT, ELECTRA, ROBERTA, XLM_ROBERTA } from "./bert.js";

import { CLIP, CLIP_TEXT, CLIP_VISION } from "./clip.js";
import { DISTILBERT } from "./distilbert.js";
import { MPNET } from "./mpnet.js";
import { VIT } from "./vit.js";

export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  bert: BERT,
  roberta: ROBERTA,
  "xlm-roberta": XLM_ROBERTA,
  camembert: CAMEMBERT,
  "data2vec-text": DATA2VEC_TEXT,
  electra: ELECTRA,
  distilbert: DISTILBERT,
  mpnet: MPNET,
  vit: VIT,
  clip: CLIP,
  clip_text_model: CLIP_TEXT,
  clip_vision_model: CLIP_VISION,
};
