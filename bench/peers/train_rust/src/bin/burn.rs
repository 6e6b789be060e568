//! burn's side of the training bench, on its CPU backend (flex) with its own modules.
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use tenon_training_peers::{Step, scattered, serve};

fn device() -> Device {
    Device::flex().autodiff()
}

fn numbers<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(scattered(shape.iter().product()), shape), &device())
}

fn labels<const D: usize>(shape: [usize; D], of: impl Fn(i64) -> i64) -> Tensor<D, Int> {
    let values: Vec<i64> = (0..shape.iter().product::<usize>() as i64).map(of).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn stepper<M: Module + 'static>(
    model: M,
    y: Tensor<1, Int>,
    forward: impl Fn(&M) -> Tensor<2> + 'static,
) -> Step {
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device());
    let mut kept = Some(model);
    Box::new(move || {
        let model = kept.take().unwrap();
        let loss = criterion.forward(forward(&model), y.clone());
        let value = loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        kept = Some(optimizer.step(1e-3, model, gradients));
        value
    })
}

#[derive(Module, Debug)]
struct Perceptron {
    layers: Vec<Linear>,
}

fn perceptron(widths: &[usize], rows: usize) -> Step {
    let layers = widths.windows(2).map(|w| LinearConfig::new(w[0], w[1]).init(&device())).collect();
    let x = numbers([rows, widths[0]]);
    let classes = *widths.last().unwrap() as i64;
    stepper(Perceptron { layers }, labels([rows], move |i| i % classes), move |model| {
        let last = model.layers.len() - 1;
        let mut h = x.clone();
        for (i, layer) in model.layers.iter().enumerate() {
            h = layer.forward(h);
            if i < last {
                h = relu(h);
            }
        }
        h
    })
}

#[derive(Module, Debug)]
struct Convolutions {
    a: Conv2d,
    b: Conv2d,
    head: Linear,
}

fn cnn() -> Step {
    let same = |from, to| {
        let config = Conv2dConfig::new([from, to], [3, 3]);
        config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(&device())
    };
    let model = Convolutions { a: same(1, 32), b: same(32, 64), head: LinearConfig::new(3136, 10).init(&device()) };
    let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
    let x = numbers([64, 1, 28, 28]);
    stepper(model, labels([64], |i| i % 10), move |model| {
        let first = pool.forward(relu(model.a.forward(x.clone())));
        let second = pool.forward(relu(model.b.forward(first)));
        model.head.forward(second.flatten(1, 3))
    })
}

#[derive(Module, Debug)]
struct Encoder {
    tokens: Embedding,
    positions: Param<Tensor<2>>,
    blocks: TransformerEncoder,
    head: Linear,
}

fn transformer() -> Step {
    let device = device();
    let model = Encoder {
        tokens: EmbeddingConfig::new(1000, 128).init(&device),
        positions: Param::from_tensor(Tensor::random([64, 128], Distribution::Normal(0.0, 0.02), &device)),
        blocks: TransformerEncoderConfig::new(128, 512, 4, 2).with_dropout(0.0).with_norm_first(true).init(&device),
        head: LinearConfig::new(128, 1000).init(&device),
    };
    let x = labels([32, 64], |i| i * 7 % 1000);
    stepper(model, labels([2048], |i| i * 21 % 1000), move |model| {
        let h = model.tokens.forward(x.clone()) + model.positions.val().unsqueeze::<3>();
        let h = model.blocks.forward(TransformerEncoderInput::new(h));
        model.head.forward(h).reshape([2048, 1000])
    })
}

fn main() {
    serve("burn 0.22.0", |name| match name {
        "mlp" => perceptron(&[784, 512, 256, 10], 128),
        "cnn" => cnn(),
        "transformer" => transformer(),
        "tiny" => perceptron(&[16, 32, 2], 32),
        _ => panic!("no case {name}"),
    });
}
