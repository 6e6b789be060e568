/** Ops that ONNX Runtime adds to the official ones, as far as Tenon emits or often meets them. Grammar: spec.ts. */
import type { SpecRow } from "./spec.data.js";

/** Their type variables are open: the table does not repeat which types a kernel of ONNX Runtime takes. */
export const ORT_ROWS: readonly SpecRow[] = [
  // In the default domain, where ONNX Runtime knows them at every opset.
  [
    "LayerNormalization",
    1,
    "X:T Scale:V B?:V",
    "Y:V Mean?:U InvStdDev?:U",
    "axis:int=-1 epsilon:float=1e-05 stash_type:int=1",
  ],
  [
    "SimplifiedLayerNormalization",
    1,
    "X:T scale:V",
    "Y:V inv_std_var?:U",
    "axis:int=-1 epsilon:float=1e-05 stash_type:int=1",
  ],
  ["ImageScaler", 1, "input:T", "output:T", "bias:floats scale:float=1"],
  ["Affine", 1, "X:T", "Y:T", "alpha:float beta:float"],
  ["Crop", 1, "input:T", "output:T", "border:ints scale:ints"],
  ["ParametricSoftplus", 1, "X:T", "Y:T", "alpha:float beta:float"],
  ["ScaledTanh", 1, "X:T", "Y:T", "alpha:float beta:float"],
  ["com.microsoft:BiasGelu", 1, "A:T B:T", "C:T"],
  ["com.microsoft:FastGelu", 1, "X:T bias?:T", "Y:T"],
  ["com.microsoft:Gelu", 1, "X:T", "Y:T"],
  ["com.microsoft:QuickGelu", 1, "X:T", "Y:T", "alpha:float"],
  [
    "com.microsoft:FusedMatMul",
    1,
    "A:T B:T",
    "Y:T",
    "alpha:float=1 transA:int=0 transB:int=0 transBatchA:int=0 transBatchB:int=0",
  ],
  [
    "com.microsoft:SkipLayerNormalization",
    1,
    "input:T skip:T gamma:T beta?:T bias?:T",
    "output:T mean?:U inv_std_var?:U input_skip_bias_sum?:T",
    "epsilon:float",
  ],
  [
    "com.microsoft:MatMulNBits",
    1,
    "A:T1 B:T2 scales:T1 zero_points?:T3 g_idx?:T4 bias?:T1",
    "Y:T1",
    "K!:int N!:int accuracy_level:int bits:int block_size!:int weight_prepacked:int",
  ],
  ["com.microsoft:DynamicQuantizeMatMul", 1, "A:T1 B:T2 b_scale:T1 b_zero_point?:T2 bias?:T1", "Y:T1"],
];
