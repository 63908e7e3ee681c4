//! A run's state and its initial prior as bytes.

use super::init::InitialPrior;
use super::state::{LapRecord, Phase, State};
use crate::basis::{Basis, Dct, Fourier, MAX_SIDE};
use crate::checkpoint::{Arrays, StandardizerMeta, decode, encode, take};
use crate::error::{Error, Result};
use crate::gaussian::{Gaussian, LowRankGaussian, SpectralGaussian};
use crate::image::ImageShape;
use crate::network::{from_host, to_host};
use crate::optim::OptimState;
use crate::samples::Samples;
use burn::tensor::Device;
use nalgebra::{DMatrix, DVector};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

#[derive(Serialize, Deserialize)]
struct StateMeta<M> {
    lap: usize,
    phase: Phase,
    step: usize,
    done: usize,
    updates: usize,
    tail_loss: (f64, usize),
    history: Vec<LapRecord>,
    standardizer: StandardizerMeta,
    relaxation: f64,
    fitted: bool,
    run: M,
}

/// Encodes a run's state without its reconstructions, which are stored elsewhere; `run` identifies the run
/// that it belongs to.
pub fn encode_state(state: &State, run: &impl Serialize) -> Result<Vec<u8>> {
    let vector = |name: &str, v: Vec<f32>| (name.to_string(), vec![v.len()], v);
    let o = &state.optim;
    let mut arrays = vec![
        vector("weights", to_host(&o.weights)?),
        vector("average", to_host(&o.average)?),
        vector("first", to_host(&o.first)?),
        vector("second", to_host(&o.second)?),
        vector("best_scores", state.best_scores.clone()),
    ];
    if let Some(previous) = &state.previous {
        arrays.push(vector("previous", to_host(previous)?));
    }
    let State { lap, phase, step, done, tail_loss, relaxation, fitted, .. } = *state;
    let history = state.history.clone();
    let standardizer = StandardizerMeta::of(&state.standardizer);
    encode(
        "state",
        &arrays,
        &StateMeta {
            lap,
            phase,
            step,
            done,
            updates: o.updates,
            tail_loss,
            history,
            standardizer,
            relaxation,
            fitted,
            run,
        },
    )
}

/// Reads [`encode_state`]'s bytes for a network of `parameters` weights and signals of length `d`.
/// [`State::x`] is empty: the caller restores the reconstructions of the previous lap. [`State::partial`] is
/// empty too: the caller restores it, or [`crate::Store`] creates it when the E-step continues.
pub fn decode_state<M: DeserializeOwned>(
    bytes: &[u8],
    parameters: usize,
    d: usize,
    device: &Device,
) -> Result<(State, M)> {
    let (mut arrays, meta) = decode::<StateMeta<M>>("state", bytes)?;
    let relaxed = arrays.iter().any(|(name, _, _)| name == "previous");
    let mut vector = |name: &str| -> Result<burn::tensor::Tensor<1>> {
        let (shape, values) = take(&mut arrays, name)?;
        if shape != [parameters] {
            let message =
                format!("tensor `{name}` has shape {shape:?}, the network of this config has {parameters} weights");
            return Err(Error::Checkpoint(message));
        }
        Ok(from_host(values, device))
    };
    let optim = OptimState {
        weights: vector("weights")?,
        average: vector("average")?,
        first: vector("first")?,
        second: vector("second")?,
        updates: meta.updates,
    };
    let previous = relaxed.then(|| vector("previous")).transpose()?;
    let (_, best_scores) = take(&mut arrays, "best_scores")?;
    let state = State {
        lap: meta.lap,
        phase: meta.phase,
        step: meta.step,
        optim,
        relaxation: meta.relaxation,
        fitted: meta.fitted,
        previous,
        standardizer: meta.standardizer.standardizer(d)?,
        x: Samples::default(),
        partial: Samples::default(),
        done: meta.done,
        tail_loss: meta.tail_loss,
        best_scores,
        history: meta.history,
    };
    Ok((state, meta.run))
}

/// Appends numbers of 48 bits as two arrays, the rounded values and the remainders.
fn push_wide(arrays: &mut Arrays, name: &str, shape: Vec<usize>, values: impl Iterator<Item = f64>) {
    let (high, low) = values.map(|v| (v as f32, (v - v as f32 as f64) as f32)).unzip();
    arrays.extend([(name.to_string(), shape.clone(), high), (format!("{name}.rest"), shape, low)]);
}

fn take_wide(arrays: &mut Arrays, name: &str) -> Result<Vec<f64>> {
    let ((_, high), (_, low)) = (take(arrays, name)?, take(arrays, &format!("{name}.rest"))?);
    Ok(high.iter().zip(&low).map(|(&high, &low)| high as f64 + low as f64).collect())
}

/// Tensor of a start's image shape and basis, which only a diagonal in a basis of images has: channels, height, width,
/// and 0 for cosines, 1 for the waves of real images, 2 for those of complex ones.
const SHAPE: &str = "shape";

/// Encodes the Gaussian prior of a start; what is read back agrees to 48 bits.
pub fn encode_start(prior: &InitialPrior) -> Result<Vec<u8>> {
    let mut arrays = Arrays::new();
    match prior {
        InitialPrior::Full(Gaussian { mean, covariance }) => {
            push_wide(&mut arrays, "mean", vec![mean.len()], mean.iter().copied());
            push_wide(&mut arrays, "covariance", vec![mean.len(); 2], covariance.iter().copied());
        }
        InitialPrior::LowRank(LowRankGaussian { mean, loadings, variance }) => {
            let (d, k) = loadings.shape();
            push_wide(&mut arrays, "mean", vec![d], mean.iter().copied());
            push_wide(&mut arrays, "variance", vec![d], variance.iter().copied());
            // The loadings are stored column by column.
            push_wide(&mut arrays, "loadings", vec![k, d], loadings.iter().copied());
        }
        InitialPrior::Spectral(prior) => {
            let (d, ImageShape { channels, height, width }) = (prior.mean.len(), prior.basis().shape());
            push_wide(&mut arrays, "mean", vec![d], prior.mean.iter().copied());
            push_wide(&mut arrays, "variance", vec![d], prior.variance.iter().copied());
            let kind = match prior.basis() {
                Basis::Cosine(_) => 0,
                Basis::Fourier(waves) => 1 + usize::from(waves.is_complex()),
            };
            let shape = [channels, height, width, kind].map(|side| side as f64);
            push_wide(&mut arrays, SHAPE, vec![4], shape.into_iter());
        }
    }
    encode("start", &arrays, &HashMap::<String, String>::new())
}

/// Reads [`encode_start`]'s bytes for signals of length `d`.
pub fn decode_start(bytes: &[u8], d: usize) -> Result<InitialPrior> {
    let (mut arrays, _) = decode::<HashMap<String, serde_json::Value>>("start", bytes)?;
    let mean = take_wide(&mut arrays, "mean")?;
    let fits = |name: &str, found: usize, expected: bool| match expected {
        true => Ok(()),
        false => Err(Error::Checkpoint(format!("tensor `{name}` has {found} values, which do not fit signals of {d}"))),
    };
    fits("mean", mean.len(), mean.len() == d)?;
    if arrays.iter().any(|(name, _, _)| name == "covariance") {
        let values = take_wide(&mut arrays, "covariance")?;
        fits("covariance", values.len(), values.len() == d * d)?;
        let covariance = DMatrix::from_column_slice(d, d, &values);
        return Ok(InitialPrior::Full(Gaussian::new(DVector::from_vec(mean), covariance)?));
    }
    let variance = take_wide(&mut arrays, "variance")?;
    fits("variance", variance.len(), variance.len() == d)?;
    if arrays.iter().any(|(name, _, _)| name == SHAPE) {
        let sides: Vec<usize> = take_wide(&mut arrays, SHAPE)?.into_iter().map(|side| side as usize).collect();
        let (shape, kind) = match sides[..] {
            [channels, height, width] => (ImageShape { channels, height, width }, 0),
            [channels, height, width, kind] => (ImageShape { channels, height, width }, kind),
            _ => return Err(Error::Checkpoint(format!("tensor `{SHAPE}` has {} values, expected 4", sides.len()))),
        };
        // Sides whose product overflows are not those of d values.
        let product = sides[..3].iter().try_fold(1usize, |product, side| product.checked_mul(*side));
        fits(SHAPE, product.unwrap_or(0), product == Some(d))?;
        let basis = basis_of(shape, kind)?;
        return Ok(InitialPrior::Spectral(SpectralGaussian::new(basis, mean, variance)?));
    }
    let values = take_wide(&mut arrays, "loadings")?;
    fits("loadings", values.len(), d > 0 && values.len().is_multiple_of(d))?;
    let loadings = DMatrix::from_column_slice(d, values.len() / d, &values);
    Ok(InitialPrior::LowRank(LowRankGaussian { mean, loadings, variance }))
}

/// The basis of images of `shape` that tensor [`SHAPE`] calls `kind`.
fn basis_of(shape: ImageShape, kind: usize) -> Result<Basis> {
    let refuse = |message: String| Err(Error::Checkpoint(message));
    match kind {
        _ if shape.height.max(shape.width) > MAX_SIDE => {
            refuse(format!("tensor `{SHAPE}` has a side above {MAX_SIDE}, which no basis of images has"))
        }
        0 => Ok(Basis::Cosine(Dct::new(shape))),
        1 => Ok(Basis::Fourier(Fourier::new(shape, false))),
        2 if shape.channels.is_multiple_of(2) => Ok(Basis::Fourier(Fourier::new(shape, true))),
        2 => refuse(format!("tensor `{SHAPE}` has complex images with an odd number of planes")),
        _ => refuse(format!("tensor `{SHAPE}` has basis {kind}, expected 0, 1 or 2")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize) -> DMatrix<f64> {
        DMatrix::from_fn(rows, columns, |i, j| 1.0 / (1.0 + (i + j) as f64) + f64::from(i == j))
    }

    #[test]
    fn a_start_is_read_back() {
        let (mean, wide) = (vec![0.1, -2.0 / 3.0, 1e-9], |a: f64, b: f64| (a - b).abs() <= a.abs() * 1e-14);
        let full = Gaussian::new(DVector::from_vec(mean.clone()), matrix(3, 3)).unwrap();
        let bytes = encode_start(&InitialPrior::Full(full.clone())).unwrap();
        let InitialPrior::Full(found) = decode_start(&bytes, 3).unwrap() else { panic!("a full covariance") };
        assert!(full.mean.iter().zip(&found.mean).all(|(a, b)| wide(*a, *b)));
        assert!(full.covariance.iter().zip(&found.covariance).all(|(a, b)| wide(*a, *b)));
        assert!(decode_start(&bytes, 4).err().unwrap().to_string().contains("do not fit signals of 4"));

        let low = LowRankGaussian { mean, loadings: matrix(3, 2), variance: vec![0.3, 0.2, 0.1] };
        let bytes = encode_start(&InitialPrior::LowRank(low.clone())).unwrap();
        let InitialPrior::LowRank(found) = decode_start(&bytes, 3).unwrap() else { panic!("a low rank") };
        assert!(low.loadings.iter().zip(&found.loadings).all(|(a, b)| wide(*a, *b)));
        assert!(low.variance.iter().zip(&found.variance).all(|(a, b)| wide(*a, *b)));

        let shape = ImageShape { channels: 1, height: 1, width: 3 };
        let basis = Basis::Fourier(Fourier::new(shape, false));
        let spectral = SpectralGaussian::new(basis, low.mean.clone(), low.variance.clone()).unwrap();
        let bytes = encode_start(&InitialPrior::Spectral(spectral.clone())).unwrap();
        let InitialPrior::Spectral(found) = decode_start(&bytes, 3).unwrap() else { panic!("a spectrum") };
        assert_eq!(found.basis(), spectral.basis());
        assert!(spectral.mean.iter().zip(&found.mean).all(|(a, b)| wide(*a, *b)));
        assert!(spectral.variance.iter().zip(&found.variance).all(|(a, b)| wide(*a, *b)));
    }
}
