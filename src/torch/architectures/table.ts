/** The architectures that are known, by the `model_type` of their config. */
import type { Architecture } from "./architecture.js";
import { BERT, CAMEMBERT, DATA2VEC_TEXT, ELECTRA, ROBERTA, XLM_ROBERTA } from "./bert.js";

import { CLIP, CLIP_TEXT, CLIP_VISION } from "./clip.js";
import { GEMMA, GEMMA2, GEMMA3_TEXT, LLAMA, MISTRAL, QWEN2, QWEN3 } from "./decoder.js";
import { DISTILBERT } from "./distilbert.js";
import { MODERNBERT } from "./modernbert.js";
import { MPNET } from "./mpnet.js";
import { NOMIC_BERT } from "./nomic-bert.js";
import { SIGLIP, SIGLIP_TEXT, SIGLIP_VISION } from "./siglip.js";
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
  modernbert: MODERNBERT,
  nomic_bert: NOMIC_BERT,
  llama: LLAMA,
  mistral: MISTRAL,
  qwen2: QWEN2,
  qwen3: QWEN3,
  gemma: GEMMA,
  gemma2: GEMMA2,
  gemma3_text: GEMMA3_TEXT,
  vit: VIT,
  clip: CLIP,
  clip_text_model: CLIP_TEXT,
  clip_vision_model: CLIP_VISION,
  siglip: SIGLIP,
  siglip_text_model: SIGLIP_TEXT,
  siglip_vision_model: SIGLIP_VISION,
};
