//! Observations and signals from a file, checked against the channel's sizes before any work begins.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use diffem::Samples;

use super::tensor_file::TensorFile;

/// Sizes that the channel expects; `None` where the channel leaves them to the data.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Length m of an observation.
    pub m: Option<usize>,
    /// Shape of the operator parameters of one observation, such as `[2, 5]`; `None` if the channel needs
    /// none.
    pub a_shape: Option<Vec<usize>>,
    /// Length d of a signal.
    pub d: Option<usize>,
}

/// Contents of a file of observations, one observation per row.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Observations `[n, m]`.
    pub y: Samples,
    /// Operator parameters `[n, k]`, each row flattened, if the channel needs them.
    pub a: Option<Samples>,
    /// True signals `[n, d]`, if the file has them; they are used for scores only, never for training.
    pub truth: Option<Samples>,
}

/// Loads `y [n, m]`, `a [n, ...]` if the channel needs it, and `x [n, d]` if the file has it.
///
/// The rows of `a` may be flattened. The array of a `.npy` file is `y`. All shapes are checked before any
/// data is read.
///
/// # Errors
/// A file that cannot be read (see [`TensorFile`]), or a tensor whose shape is not the expected one.
pub fn load_observations(path: &Path, expect: &Expect) -> Result<Loaded> {
    let mut file = TensorFile::open(path, "y")?;
    let has_truth = file.has("x");
    let n = check_rows(&mut file, "y", "observation", &[expect.m])?;
    if let Some(a_shape) = &expect.a_shape {
        let rows = check_operators(&mut file, a_shape)?;
        check_counts(path, n, "a", rows)?;
    }
    if has_truth {
        let rows = check_rows(&mut file, "x", "signal", &[expect.d])?;
        check_counts(path, n, "x", rows)?;
    }
    let a = expect.a_shape.is_some().then(|| file.rows("a")).transpose()?;
    let truth = has_truth.then(|| file.rows("x")).transpose()?;
    Ok(Loaded { y: file.rows("y")?, a, truth })
}

/// Loads the signals `name [n, d]`; the array of a `.npy` file is treated as `name`.
///
/// # Errors
/// A file that cannot be read (see [`TensorFile`]), or a shape that is not `[n, d]`.
pub fn load_signals(path: &Path, name: &str, d: Option<usize>) -> Result<Samples> {
    let mut file = TensorFile::open(path, name)?;
    check_rows(&mut file, name, "signal", &[d])?;
    file.rows(name)
}

/// Checks the shape `[n, row...]` of the tensor `name` and returns n.
fn check_rows(file: &mut TensorFile, name: &str, what: &str, row: &[Option<usize>]) -> Result<usize> {
    let shape = file.shape(name)?;
    if let [n, rest @ ..] = &shape[..]
        && rest.len() == row.len()
        && rest.iter().zip(row).all(|(dim, wanted)| wanted.is_none_or(|w| w == *dim))
    {
        ensure!(!shape.contains(&0), empty(file.path(), name, &shape));
        return Ok(*n);
    }
    bail!(
        "{}: tensor `{name}` has shape {shape:?}; expected {} (one {what} per row). {}",
        file.path().display(),
        pattern(name, row),
        advice(name, &shape, row.len() + 1)
    )
}

/// Like [`check_rows`], for operators, whose rows may be flattened.
fn check_operators(file: &mut TensorFile, a_shape: &[usize]) -> Result<usize> {
    let flat = [Some(a_shape.iter().product())];
    let whole: Vec<_> = a_shape.iter().map(|&dim| Some(dim)).collect();
    let row = if file.shape("a")?.len() == 2 { &flat[..] } else { &whole };
    check_rows(file, "a", "operator", row)
}

fn check_counts(path: &Path, n: usize, name: &str, rows: usize) -> Result<()> {
    ensure!(
        rows == n,
        "{}: tensor `{name}` has {rows} rows and `y` has {n}; expected one row of `{name}` for every observation",
        path.display()
    );
    Ok(())
}

fn empty(path: &Path, name: &str, shape: &[usize]) -> String {
    format!("{}: tensor `{name}` has shape {shape:?}, which holds no values; expected at least one row", path.display())
}

/// Formats the expected shape, such as `[n, 2]`, with a letter for a free length.
fn pattern(name: &str, row: &[Option<usize>]) -> String {
    let free = if name == "y" { "m" } else { "d" };
    let dims: Vec<_> = row.iter().map(|dim| dim.map_or(free.into(), |n| n.to_string())).collect();
    format!("[n, {}]", dims.join(", "))
}

fn advice(name: &str, shape: &[usize], rank: usize) -> String {
    match shape.len() {
        0 | 1 => format!("Add the missing axis, for example `{name}.reshape(n, -1)`"),
        found if found > rank => format!("Flatten each row, `{name}.reshape(len({name}), -1)`, or choose another file"),
        _ => "Change the sizes in the configuration, or choose another file".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tensor::Tensor;
    use crate::data::tensor_file::write_tensors;
    use std::collections::BTreeMap;
    use tempfile::tempdir;

    const CHANNEL: &[usize] = &[2, 5];

    fn expect() -> Expect {
        Expect { m: Some(2), a_shape: Some(CHANNEL.into()), d: Some(5) }
    }

    fn ramp(shape: &[usize]) -> Tensor {
        Tensor { shape: shape.into(), values: (0..shape.iter().product()).map(|i| i as f32).collect() }
    }

    /// Writes and loads a file with tensors of these names and shapes.
    fn load(name: &str, shapes: &[(&str, &[usize])], expect: &Expect) -> Result<Loaded> {
        let dir = tempdir().unwrap();
        let path = dir.path().join(name);
        let tensors: Vec<_> = shapes.iter().map(|(name, shape)| (*name, ramp(shape))).collect();
        let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
        write_tensors(&path, &tensors, &BTreeMap::new())?;
        load_observations(&path, expect)
    }

    fn error(shapes: &[(&str, &[usize])]) -> String {
        let error = format!("{:#}", load("o.npz", shapes, &expect()).unwrap_err());
        error.split_once("/o.npz: ").unwrap().1.into()
    }

    #[test]
    fn observations_operators_and_truth_are_loaded() {
        for file in ["o.npz", "o.safetensors"] {
            for a in [&[4, 2, 5][..], &[4, 10]] {
                let loaded = load(file, &[("y", &[4, 2]), ("a", a), ("x", &[4, 5])], &expect()).unwrap();
                assert_eq!(loaded.y, Samples::new(ramp(&[8]).values, 2));
                assert_eq!(loaded.a, Some(Samples::new(ramp(&[40]).values, 10)));
                assert_eq!(loaded.truth, Some(Samples::new(ramp(&[20]).values, 5)));
            }
        }
    }

    #[test]
    fn what_the_channel_does_not_need_is_left_alone() {
        let free = Expect { a_shape: None, ..Expect::default() };
        let loaded = load("o.npz", &[("y", &[4, 3]), ("a", &[7])], &free).unwrap();
        assert_eq!((loaded.y.d(), loaded.a, loaded.truth), (3, None, None));
    }

    #[test]
    fn wrong_shapes_are_told_with_the_expected_one_and_the_way_out() {
        let a: (&str, &[usize]) = ("a", &[4, 2, 5]);
        assert_eq!(
            error(&[("y", &[4, 3, 2]), a]),
            "tensor `y` has shape [4, 3, 2]; expected [n, 2] (one observation per row). \
             Flatten each row, `y.reshape(len(y), -1)`, or choose another file"
        );
        assert_eq!(
            error(&[("y", &[4]), a]),
            "tensor `y` has shape [4]; expected [n, 2] (one observation per row). \
             Add the missing axis, for example `y.reshape(n, -1)`"
        );
        assert_eq!(
            error(&[("y", &[4, 3]), a]),
            "tensor `y` has shape [4, 3]; expected [n, 2] (one observation per row). \
             Change the sizes in the configuration, or choose another file"
        );
        let y: (&str, &[usize]) = ("y", &[4, 2]);
        assert!(
            error(&[y, ("a", &[4, 5, 2])]).starts_with("tensor `a` has shape [4, 5, 2]; expected [n, 2, 5] (one op")
        );
        assert!(error(&[y, ("a", &[4, 9])]).starts_with("tensor `a` has shape [4, 9]; expected [n, 10] (one operator"));
        assert!(error(&[y, a, ("x", &[4, 6])]).starts_with("tensor `x` has shape [4, 6]; expected [n, 5] (one signal"));
    }

    #[test]
    fn counts_must_agree_and_not_be_zero() {
        let y: (&str, &[usize]) = ("y", &[4, 2]);
        assert_eq!(
            error(&[y, ("a", &[3, 10])]),
            "tensor `a` has 3 rows and `y` has 4; expected one row of `a` for every observation"
        );
        assert!(error(&[y, ("a", &[4, 10]), ("x", &[5, 5])]).starts_with("tensor `x` has 5 rows and `y` has 4;"));
        assert_eq!(
            error(&[("y", &[0, 2])]),
            "tensor `y` has shape [0, 2], which holds no values; expected at least one row"
        );
    }

    #[test]
    fn missing_tensors_are_named() {
        assert!(error(&[("a", &[4, 10])]).starts_with("there is no tensor `y`; the file holds `a`"));
        assert!(error(&[("y", &[4, 2])]).starts_with("there is no tensor `a`; the file holds `y`"));
    }

    #[test]
    fn signals_are_loaded_under_their_name() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("s.npz");
        write_tensors(&path, &[("clean", &ramp(&[3, 4]))], &BTreeMap::new()).unwrap();
        assert_eq!(load_signals(&path, "clean", Some(4)).unwrap().n(), 3);
        let error = load_signals(&path, "clean", Some(5)).unwrap_err().to_string();
        assert!(error.contains("tensor `clean` has shape [3, 4]; expected [n, 5] (one signal per row)"), "{error}");
        let free = load_signals(&path, "other", None).unwrap_err().to_string();
        assert!(free.contains("there is no tensor `other`; the file holds `clean`"), "{free}");
    }
}
