//! Checkpoints as bytes: safetensors with one metadata entry, `diffem`, that holds JSON. Bytes are a function of the
//! content alone, and Python's `safetensors` reads them.

use crate::conditioning::Standardizer;
use crate::em::{InitialPrior, LapRecord, Phase, State};
use crate::error::{Error, Result};
use crate::gaussian::Gaussian;
use crate::gaussian::LowRankGaussian;
use crate::network::{Layout, from_host, to_host};
use crate::optim::OptimState;
use crate::samples::Samples;
use burn::tensor::Device;
use half::f16;
use nalgebra::{DMatrix, DVector};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::HashMap;

/// Version of the files written here; files of a later one are refused.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Header<'a, M> {
    #[serde(flatten)]
    kind: Kind,
    #[serde(flatten)]
    meta: &'a M,
}

/// What is read before the rest, which is of the kind's own type.
#[derive(Serialize, Deserialize)]
struct Kind {
    format_version: u32,
    content: String,
}

/// Named `f32` arrays: name, shape and values.
pub type Arrays = Vec<(String, Vec<usize>, Vec<f32>)>;

/// How numbers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// In 16 bits: a relative error of at most 2^-11 from 6.1e-5 to 65504, absolute of 3e-8 below.
    F16,
}

impl Precision {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
        }
    }

    /// Little-endian bytes of `values`; a number that 16 bits cannot hold is an error.
    fn bytes(self, name: &str, values: &[f32]) -> Result<Vec<u8>> {
        if self == Self::F32 {
            return Ok(values.iter().flat_map(|x| x.to_le_bytes()).collect());
        }
        let halves: Vec<f16> = values.iter().map(|&x| f16::from_f32(x)).collect();
        if let Some(i) = halves.iter().position(|h| !h.is_finite()) {
            let message = format!("tensor `{name}` holds {}, which 16 bits cannot: keep 32", values[i]);
            return Err(Error::Checkpoint(message));
        }
        Ok(halves.iter().flat_map(|x| x.to_le_bytes()).collect())
    }
}

/// Serializes `arrays` and `meta`; `content` says what the file is ("weights", "state").
pub fn encode(content: &str, arrays: &Arrays, meta: &impl Serialize) -> Result<Vec<u8>> {
    encode_with(content, arrays, meta, &|_| Precision::F32)
}

/// [`encode`] with the precision that `precision` gives each array's name.
pub fn encode_with(
    content: &str,
    arrays: &Arrays,
    meta: &impl Serialize,
    precision: &dyn Fn(&str) -> Precision,
) -> Result<Vec<u8>> {
    let fail = |e: &dyn std::fmt::Display| Error::Checkpoint(e.to_string());
    let kind = Kind { format_version: FORMAT_VERSION, content: content.to_string() };
    let header = Header { kind, meta };
    let header = serde_json::to_string(&header).map_err(|e| fail(&e))?;
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|(name, _, v)| precision(name).bytes(name, v)).collect::<Result<_>>()?;
    let views: Vec<(&str, TensorView)> = arrays
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            let dtype = precision(name).dtype();
            TensorView::new(dtype, shape.clone(), bytes).map(|v| (name.as_str(), v)).map_err(|e| fail(&e))
        })
        .collect::<Result<_>>()?;
    // A single entry: the order of a map's entries would change from run to run.
    serialize(views, Some(HashMap::from([("diffem".to_string(), header)]))).map_err(|e| fail(&e))
}

/// Reads what [`encode`] wrote and checks the kind of content and the version. `M` must pass over fields that it does not know:
/// the version and the kind stand among its own.
pub fn decode<M: DeserializeOwned>(content: &str, bytes: &[u8]) -> Result<(Arrays, M)> {
    let fail = |message: String| Error::Checkpoint(message);
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|e| fail(format!("not a whole safetensors file ({e})")))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get("diffem"));
    let json = json.ok_or_else(|| fail("no `diffem` entry in the metadata: not written by diffem".into()))?;
    let kind: Kind = serde_json::from_str(json).map_err(|e| fail(e.to_string()))?;
    if kind.format_version > FORMAT_VERSION {
        let found = kind.format_version;
        return Err(fail(format!("format version {found}; this build reads up to {FORMAT_VERSION}: update diffem")));
    }
    if kind.content != content {
        return Err(fail(format!("expected a file of {content}, found {}", kind.content)));
    }
    let meta: M = serde_json::from_str(json).map_err(|e| fail(format!("metadata: {e}")))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| fail(format!("not a whole safetensors file ({e})")))?;
    let mut arrays = Arrays::new();
    for (name, view) in tensors.iter() {
        let values = match view.dtype() {
            Dtype::F32 => view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => view.data().chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            other => return Err(fail(format!("tensor `{name}`: expected F32 or F16, found {other:?}"))),
        };
        arrays.push((name.to_string(), view.shape().to_vec(), values));
    }
    Ok((arrays, meta))
}

pub(crate) fn take(arrays: &mut Arrays, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
    let found = arrays.iter().position(|(n, _, _)| n == name);
    let found = found.ok_or_else(|| Error::Checkpoint(format!("tensor `{name}` is missing")))?;
    let (_, shape, values) = arrays.swap_remove(found);
    Ok((shape, values))
}

/// A flat weight vector as named tensors: linear weights are `[inputs, outputs]`.
pub(crate) fn split_weights(layout: &Layout, weights: &[f32]) -> Arrays {
    let mut offset = 0;
    let arrays = layout.entries.iter().map(|(name, shape)| {
        let n: usize = shape.iter().product();
        offset += n;
        (name.clone(), shape.clone(), weights[offset - n..offset].to_vec())
    });
    arrays.collect()
}

/// Named tensors, see [`decode_weights`].
pub fn encode_weights(layout: &Layout, weights: &[f32], meta: &impl Serialize) -> Result<Vec<u8>> {
    encode("weights", &split_weights(layout, weights), meta)
}

/// The flat weight vector of a file of weights whose tensors must be exactly those of `layout`.
pub fn decode_weights<M: DeserializeOwned>(layout: &Layout, bytes: &[u8]) -> Result<(Vec<f32>, M)> {
    let (arrays, meta) = decode("weights", bytes)?;
    Ok((join_weights(layout, arrays)?, meta))
}

/// The flat weight vector of `arrays`, which must be exactly those of `layout`.
pub(crate) fn join_weights(layout: &Layout, mut arrays: Arrays) -> Result<Vec<f32>> {
    let mut weights = Vec::with_capacity(layout.len());
    for (name, shape) in &layout.entries {
        let (found, values) = take(&mut arrays, name)?;
        if &found != shape {
            let message = format!("tensor `{name}` has shape {found:?}, the network of this config needs {shape:?}");
            return Err(Error::Checkpoint(message));
        }
        weights.extend(values);
    }
    match arrays.first() {
        Some((name, _, _)) => {
            Err(Error::Checkpoint(format!("tensor `{name}` is not part of the network of this config")))
        }
        None => Ok(weights),
    }
}

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
    run: M,
}

/// A standardizer as JSON, which keeps all 64 bits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StandardizerMeta {
    mean: Vec<f64>,
    root: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    power: Option<Vec<f64>>,
}

impl StandardizerMeta {
    pub(crate) fn of(standardizer: &Standardizer) -> Self {
        let Standardizer { mean, root, power, .. } = standardizer.clone();
        Self { mean, root, power }
    }

    /// The standardizer, which must be one of signals of length `d`.
    pub(crate) fn standardizer(self, d: usize) -> Result<Standardizer> {
        if self.mean.len() != d {
            let found = self.mean.len();
            return Err(Error::Checkpoint(format!(
                "standardizer of {found} coordinates, this config's signals have {d}"
            )));
        }
        Standardizer::new(self.mean, self.root)?.with_power(self.power)
    }
}

/// The coordinates of a run, to be kept beside its weights.
pub fn encode_standardizer(standardizer: &Standardizer) -> Result<Vec<u8>> {
    encode("standardizer", &Arrays::new(), &StandardizerMeta::of(standardizer))
}

/// Reads [`encode_standardizer`]'s bytes for signals of length `d`.
pub fn decode_standardizer(bytes: &[u8], d: usize) -> Result<Standardizer> {
    decode::<StandardizerMeta>("standardizer", bytes)?.1.standardizer(d)
}

/// A run's state but for its reconstructions, which are kept elsewhere; `run` identifies what it belongs to.
pub fn encode_state(state: &State, run: &impl Serialize) -> Result<Vec<u8>> {
    let vector = |name: &str, v: Vec<f32>| (name.to_string(), vec![v.len()], v);
    let o = &state.optim;
    let arrays = vec![
        vector("weights", to_host(&o.weights)?),
        vector("average", to_host(&o.average)?),
        vector("first", to_host(&o.first)?),
        vector("second", to_host(&o.second)?),
        vector("best_scores", state.best_scores.clone()),
    ];
    let State { lap, phase, step, done, tail_loss, .. } = *state;
    let history = state.history.clone();
    let standardizer = StandardizerMeta::of(&state.standardizer);
    encode(
        "state",
        &arrays,
        &StateMeta { lap, phase, step, done, updates: o.updates, tail_loss, history, standardizer, run },
    )
}

/// Reads [`encode_state`]'s bytes for a network of `parameters` weights and signals of length `d`. [`State::x`] is empty: the
/// caller puts back the reconstructions of the lap before. So is [`State::partial`]: put back, or made by
/// [`crate::Store`] when the E-step goes on.
pub fn decode_state<M: DeserializeOwned>(
    bytes: &[u8],
    parameters: usize,
    d: usize,
    device: &Device,
) -> Result<(State, M)> {
    let (mut arrays, meta) = decode::<StateMeta<M>>("state", bytes)?;
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
    let (_, best_scores) = take(&mut arrays, "best_scores")?;
    let state = State {
        lap: meta.lap,
        phase: meta.phase,
        step: meta.step,
        optim,
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

/// Numbers of 48 bits as two arrays, the rounded values and what that leaves.
fn push_wide(arrays: &mut Arrays, name: &str, shape: Vec<usize>, values: impl Iterator<Item = f64>) {
    let (high, low) = values.map(|v| (v as f32, (v - v as f32 as f64) as f32)).unzip();
    arrays.extend([(name.to_string(), shape.clone(), high), (format!("{name}.rest"), shape, low)]);
}

fn take_wide(arrays: &mut Arrays, name: &str) -> Result<Vec<f64>> {
    let ((_, high), (_, low)) = (take(arrays, name)?, take(arrays, &format!("{name}.rest"))?);
    Ok(high.iter().zip(&low).map(|(&high, &low)| high as f64 + low as f64).collect())
}

/// The Gaussian prior of a start. What is read back is equal to 48 bits.
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
            // Column by column.
            push_wide(&mut arrays, "loadings", vec![k, d], loadings.iter().copied());
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
    let (variance, values) = (take_wide(&mut arrays, "variance")?, take_wide(&mut arrays, "loadings")?);
    fits("variance", variance.len(), variance.len() == d)?;
    fits("loadings", values.len(), d > 0 && values.len().is_multiple_of(d))?;
    let loadings = DMatrix::from_column_slice(d, values.len() / d, &values);
    Ok(InitialPrior::LowRank(LowRankGaussian { mean, loadings, variance }))
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
    }
}
