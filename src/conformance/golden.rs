//! The golden file: safetensors with the inputs (`projection: weights [P]`, `projection: x [n, d]`, ...), the settings as
//! metadata, and every quantity under its own name.

use super::problem::{Inputs, Problem, Settings, drawn, problems};
use super::quantities::{compute, quantities};
use super::report::{Report, Row, difference};
use crate::channel::Channel;
use crate::checkpoint::{self, Arrays, take};
use crate::error::{Error, Result};
use crate::network::to_host;
use crate::samples::Samples;
use crate::transfer::to_host_async;
use burn::tensor::Device;

/// Kind of content, as [`checkpoint::encode`] takes it.
const CONTENT: &str = "golden";

/// The golden file embedded in this build, made on flex.
pub static GOLDEN: &[u8] = include_bytes!("../../tests/golden/backends.safetensors");

/// Inputs and the quantities that one backend computed from them.
pub struct Golden {
    settings: Settings,
    problems: Vec<Problem>,
    /// Values in the order of [`quantities`].
    expected: Vec<Vec<f32>>,
}

impl Golden {
    /// Draws the inputs of `settings` and computes every quantity on `device`, which must support blocking
    /// reads.
    ///
    /// # Errors
    /// A device that fails.
    pub fn make(settings: Settings, device: &Device) -> Result<Self> {
        let problems = drawn(&settings, device)?;
        let expected = compute(&problems, &settings, device)?.iter().map(to_host).collect::<Result<_>>()?;
        Ok(Self { settings, problems, expected })
    }

    /// Encodes the golden file as bytes.
    ///
    /// # Errors
    /// A value that does not serialize.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut arrays = Arrays::new();
        for problem in &self.problems {
            arrays.extend(problem.inputs.arrays(problem.name));
        }
        let named = quantities().into_iter().zip(&self.expected);
        arrays.extend(named.map(|((name, _), values)| (name, vec![values.len()], values.clone())));
        checkpoint::encode(CONTENT, &arrays, &self.settings)
    }

    /// Reads the bytes of a golden file.
    ///
    /// # Errors
    /// Bytes that are not a complete golden file of this version; a tensor that is missing or does not fit.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (mut arrays, settings) = checkpoint::decode::<Settings>(CONTENT, bytes)?;
        settings.network.validate()?;
        let problems = problems(&settings, |kind, channel| {
            let lengths = [kind.d, channel.observation_len(), channel.operator_len(), kind.d];
            Inputs::of(kind.name, lengths, &mut arrays)
        })?;
        let expected =
            quantities().into_iter().map(|(name, _)| Ok(take(&mut arrays, &name)?.1)).collect::<Result<_>>()?;
        match arrays.first() {
            Some((name, ..)) => Err(Error::Checkpoint(format!("tensor `{name}` is not part of a golden file"))),
            None => Ok(Self { settings, problems, expected }),
        }
    }

    /// Identifies this file: returns the FNV-1a hash of its bytes in hexadecimal.
    ///
    /// # Errors
    /// A value that does not serialize.
    pub fn fingerprint(&self) -> Result<String> {
        let mix = |hash: u64, byte: &u8| (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        Ok(format!("{:016x}", self.encode()?.iter().fold(0xcbf2_9ce4_8422_2325, mix)))
    }

    /// The problems with their inputs.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Values of the quantity called `name`, if there is one.
    pub fn expected(&self, name: &str) -> Option<&[f32]> {
        let position = quantities().iter().position(|(quantity, _)| quantity == name)?;
        self.expected.get(position).map(Vec::as_slice)
    }

    /// Computes every quantity on `device` and compares it with the golden values; `backend` names the device
    /// in the report.
    ///
    /// # Errors
    /// Weights that do not fit the network; a quantity of a different length; a device that fails.
    pub fn check(&self, backend: &str, device: &Device) -> Result<Report> {
        let found = compute(&self.problems, &self.settings, device)?;
        self.report(backend, device, found.iter().map(to_host).collect::<Result<_>>()?)
    }

    /// [`Golden::check`] for platforms where reads cannot block, such as WebGPU in a browser.
    ///
    /// # Errors
    /// As [`Golden::check`].
    pub async fn check_async(&self, backend: &str, device: &Device) -> Result<Report> {
        let mut found = Vec::new();
        for tensor in compute(&self.problems, &self.settings, device)? {
            found.push(to_host_async(tensor).await?);
        }
        self.report(backend, device, found)
    }

    fn report(&self, backend: &str, device: &Device, found: Vec<Vec<f32>>) -> Result<Report> {
        let slack = slack(device);
        let mut rows = Vec::with_capacity(found.len());
        for (((quantity, tolerance), expected), found) in quantities().into_iter().zip(&self.expected).zip(&found) {
            if expected.len() != found.len() {
                return Err(Error::shape(format!("tensor `{quantity}`"), found.len(), expected.len()));
            }
            rows.push(Row { quantity, difference: difference(found, expected), tolerance: slack * tolerance });
        }
        Ok(Report { golden: self.fingerprint()?, backend: backend.to_string(), rows })
    }
}

/// What the tolerances are multiplied by on `device`.
fn slack(device: &Device) -> f64 {
    #[cfg(feature = "cuda")]
    if let burn::backend::DispatchDevice::Cube(burn::backend::CubeDevice::Cuda(_)) = device.as_dispatch() {
        return super::report::TF32_SLACK;
    }
    _ = device;
    1.0
}

impl Report {
    /// Checks that this report covers every quantity of this build and was made against the file `golden`.
    ///
    /// # Errors
    /// A different golden file; a quantity that is missing, unexpected or held to a tolerance of no device.
    pub fn verify(&self, golden: &Golden) -> Result<()> {
        let fingerprint = golden.fingerprint()?;
        if self.golden != fingerprint {
            return Err(Error::shape("golden file", fingerprint, &self.golden));
        }
        let slack = self.slack();
        let expected: Vec<_> = quantities().into_iter().map(|(name, tolerance)| (name, slack * tolerance)).collect();
        let found: Vec<_> = self.rows.iter().map(|row| (row.quantity.clone(), row.tolerance)).collect();
        let list = |(name, tolerance): &(String, f64)| format!("`{name}` (tolerance {tolerance:.0e})");
        let none = || "nothing".to_string();
        for i in 0..expected.len().max(found.len()) {
            let (expected, found) = (expected.get(i), found.get(i));
            if expected != found {
                let [expected, found] = [expected, found].map(|row| row.map_or_else(none, list));
                return Err(Error::shape(format!("rows[{i}]"), expected, found));
            }
        }
        Ok(())
    }
}

impl Inputs {
    fn arrays(&self, name: &str) -> Arrays {
        let table = |part: &str, s: &Samples| (format!("{name}: {part}"), vec![s.n(), s.d()], s.as_slice().to_vec());
        let vector = |part: &str, v: &[f32]| (format!("{name}: {part}"), vec![v.len()], v.to_vec());
        vec![
            vector("weights", &self.weights),
            table("x", &self.x),
            table("y", &self.y),
            table("a", &self.a),
            table("x_t", &self.x_t),
            vector("sigma", &self.sigma),
        ]
    }

    /// Takes the inputs of problem `name` out of `arrays`; `lengths` are the row lengths of x, y, a and x_t,
    /// each 1 or more.
    fn of(name: &str, lengths: [usize; 4], arrays: &mut Arrays) -> Result<Self> {
        let sigma = take(arrays, &format!("{name}: sigma"))?.1;
        let weights = take(arrays, &format!("{name}: weights"))?.1;
        let mut table = |part: &str, d: usize| {
            let name = format!("{name}: {part}");
            let (shape, values) = take(arrays, &name)?;
            match shape == [sigma.len(), d] && !sigma.is_empty() {
                true => Ok(Samples::new(values, d)),
                false => Err(Error::shape(
                    format!("tensor `{name}`"),
                    format!("[{}, {d}]", sigma.len()),
                    format!("{shape:?}"),
                )),
            }
        };
        let [x, y, a, x_t] = lengths;
        let (x, y, a, x_t) = (table("x", x)?, table("y", y)?, table("a", a)?, table("x_t", x_t)?);
        Ok(Self { weights, x, y, a, x_t, sigma })
    }
}
