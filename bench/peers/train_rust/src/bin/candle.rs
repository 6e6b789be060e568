//! candle's side of the training bench. Its fused norms and softmax have no gradient, so the composed forms stand here.
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{
    AdamW, Conv2d, Conv2dConfig, Embedding, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, conv2d,
    embedding, linear, loss::cross_entropy, ops::layer_norm_slow,
};
use tenon_training_peers::{Step, scattered, serve};

const CPU: Device = Device::Cpu;

fn stepper(vars: &VarMap, loss: impl Fn() -> Result<Tensor> + 'static) -> Result<Step> {
    let rates = ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..Default::default() };
    let mut optimizer = AdamW::new(vars.all_vars(), rates)?;
    Ok(Box::new(move || {
        let value = loss().unwrap();
        optimizer.backward_step(&value).unwrap();
        value.to_scalar().unwrap()
    }))
}

fn labels(shape: impl Into<candle_core::Shape>, of: impl Fn(u32) -> u32) -> Result<Tensor> {
    let shape = shape.into();
    Tensor::from_vec((0..shape.elem_count() as u32).map(of).collect(), shape, &CPU)
}

fn perceptron(widths: &[usize], rows: usize) -> Result<Step> {
    let vars = VarMap::new();
    let vb = VarBuilder::from_varmap(&vars, DType::F32, &CPU);
    let layers: Vec<Linear> =
        widths.windows(2).enumerate().map(|(i, w)| linear(w[0], w[1], vb.pp(i))).collect::<Result<_>>()?;
    let x = Tensor::from_vec(scattered(rows * widths[0]), (rows, widths[0]), &CPU)?;
    let classes = *widths.last().unwrap() as u32;
    let y = labels(rows, |i| i % classes)?;
    stepper(&vars, move || {
        let mut h = x.clone();
        for (i, layer) in layers.iter().enumerate() {
            h = layer.forward(&h)?;
            if i + 1 < layers.len() {
                h = h.relu()?;
            }
        }
        cross_entropy(&h, &y)
    })
}

fn cnn() -> Result<Step> {
    let vars = VarMap::new();
    let vb = VarBuilder::from_varmap(&vars, DType::F32, &CPU);
    let same = Conv2dConfig { padding: 1, ..Default::default() };
    let convs: [Conv2d; 2] = [conv2d(1, 32, 3, same, vb.pp("a"))?, conv2d(32, 64, 3, same, vb.pp("b"))?];
    let head = linear(3136, 10, vb.pp("c"))?;
    let x = Tensor::from_vec(scattered(64 * 784), (64, 1, 28, 28), &CPU)?;
    let y = labels(64, |i| i % 10)?;
    stepper(&vars, move || {
        let mut h = x.clone();
        for conv in &convs {
            h = conv.forward(&h)?.relu()?.max_pool2d(2)?;
        }
        cross_entropy(&head.forward(&h.flatten_from(1)?)?, &y)
    })
}

struct Block {
    norms: [(Tensor, Tensor); 2],
    projections: [Linear; 4],
    up: Linear,
    down: Linear,
}

impl Block {
    fn new(width: usize, vb: VarBuilder) -> Result<Self> {
        let norm = |name: &str| -> Result<(Tensor, Tensor)> {
            let ones = vb.get_with_hints(width, &format!("{name}.w"), candle_nn::Init::Const(1.0))?;
            Ok((ones, vb.get_with_hints(width, &format!("{name}.b"), candle_nn::Init::Const(0.0))?))
        };
        let square = |name: &str| linear(width, width, vb.pp(name));
        Ok(Self {
            norms: [norm("n1")?, norm("n2")?],
            projections: [square("q")?, square("k")?, square("v")?, square("o")?],
            up: linear(width, 4 * width, vb.pp("up"))?,
            down: linear(4 * width, width, vb.pp("down"))?,
        })
    }

    fn forward(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let (batch, length, width) = x.dims3()?;
        let norm = |h: &Tensor, i: usize| layer_norm_slow(h, &self.norms[i].0, &self.norms[i].1, 1e-5);
        let h = norm(x, 0)?;
        let split = |i: usize| -> Result<Tensor> {
            let all = self.projections[i].forward(&h)?;
            all.reshape((batch, length, heads, width / heads))?.transpose(1, 2)?.contiguous()
        };
        let (q, k, v) = (split(0)?, split(1)?, split(2)?);
        let scale = 1.0 / ((width / heads) as f64).sqrt();
        let scores = (q.matmul(&k.t()?.contiguous()?)? * scale)?;
        let mixed = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&v)?;
        let joined = mixed.transpose(1, 2)?.contiguous()?.reshape((batch, length, width))?;
        let x = (x + self.projections[3].forward(&joined)?)?;
        &x + self.down.forward(&self.up.forward(&norm(&x, 1)?)?.gelu_erf()?)?
    }
}

fn transformer() -> Result<Step> {
    let vars = VarMap::new();
    let vb = VarBuilder::from_varmap(&vars, DType::F32, &CPU);
    let tokens: Embedding = embedding(1000, 128, vb.pp("tokens"))?;
    let positions = vb.get_with_hints((64, 128), "positions", candle_nn::Init::Randn { mean: 0.0, stdev: 0.02 })?;
    let blocks = [Block::new(128, vb.pp("a"))?, Block::new(128, vb.pp("b"))?];
    let head = linear(128, 1000, vb.pp("head"))?;
    let x = labels((32, 64), |i| i * 7 % 1000)?;
    let y = labels(2048, |i| i * 21 % 1000)?;
    stepper(&vars, move || {
        let mut h = tokens.forward(&x)?.broadcast_add(&positions)?;
        for block in &blocks {
            h = block.forward(&h, 4)?;
        }
        cross_entropy(&head.forward(&h)?.reshape((2048, 1000))?, &y)
    })
}

fn main() {
    serve("candle 0.11.1", |name| {
        match name {
            "mlp" => perceptron(&[784, 512, 256, 10], 128),
            "cnn" => cnn(),
            "transformer" => transformer(),
            "tiny" => perceptron(&[16, 32, 2], 32),
            _ => panic!("no case {name}"),
        }
        .unwrap()
    });
}
