//! Observations and signals from a file, checked against the channel's sizes before any work begins.

use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};
use diffem::Samples;

use super::layout::{Fit, Rows, shared};
use super::parts::Parts;
use super::tensor::product;
use super::tensor_file::TensorFile;

/// Rows that the channel expects.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Observations.
    pub y: Rows,
    /// Parameters of the operators; `None` if the channel needs none.
    pub a: Option<Rows>,
    /// Signals.
    pub x: Rows,
    /// Parts of the parameters that may have tensors of their own.
    pub parts: Parts,
    /// Whether `a` is one mask, so that NaN in `y` can stand for it.
    pub masked: bool,
}

/// Contents of a file of observations, one observation per row.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Observations `[n, m]`; they need not be finite, because what is missing may hold anything.
    pub y: Samples,
    /// Operator parameters `[n, k]`, each row flattened, if the channel needs them.
    pub a: Option<Samples>,
    /// True signals `[n, d]`, if the file has them; they are used for scores only, never for training.
    pub truth: Option<Samples>,
}

/// Loads `y [n, m]`, `a [n, ...]` if the channel needs it, and `x [n, d]` if the file has it. Parts of the parameters may lie
/// under their own names. Where `a` is a mask and the file
/// has none, NaN in `y` says what is missing.
///
/// Rows may be flattened or have the shape of what they hold. The array of a `.npy` file is `y`. All shapes are checked
/// before any data is read.
///
/// # Errors
/// A file that cannot be read (see [`TensorFile`]), or a tensor whose shape is not the expected one.
pub fn load_observations(path: &Path, expect: &Expect) -> Result<Loaded> {
    let mut file = TensorFile::open(path, "y")?;
    let has_truth = file.has("x");
    let expect = alike(&mut file, expect.clone())?;
    let (n, _) = check_rows(&mut file, "y", "observation", &expect.y)?;
    let of_nan = match expect.masked && !file.has("a") {
        true => mask_of_nan(&file.any_rows("y")?, &expect),
        false => None,
    };
    let own = if of_nan.is_none() { check_operators(&mut file, &expect, n)? } else { None };
    if has_truth {
        let (rows, _) = check_rows(&mut file, "x", "signal", &expect.x)?;
        check_counts(path, n, "x", rows)?;
    }
    let a = own.map(|layout| read_operators(&mut file, &expect, layout, n)).transpose()?;
    let truth = has_truth.then(|| file.rows("x")).transpose()?;
    Ok(Loaded { y: file.any_rows("y")?, a: of_nan.or(a), truth })
}

/// How a file holds the parameters of operators.
#[derive(Clone, Copy)]
struct Layout {
    /// How the rows of `a` fit; `None` where there is nothing but parts of other names.
    a: Option<Fit>,
    by_parts: bool,
}

/// Checks the shapes of the parameters of `n` operators; `None` where the channel needs none.
fn check_operators(file: &mut TensorFile, expect: &Expect, n: usize) -> Result<Option<Layout>> {
    let Some(whole) = &expect.a else { return Ok(None) };
    let by_parts = expect.parts.apply(file)?;
    let rows = if by_parts { &expect.parts.rest } else { whole };
    let mut layout = Layout { a: None, by_parts };
    if rows.len != Some(0) {
        let (rows, fit) = check_rows(file, "a", "operator", rows)?;
        check_counts(file.path(), n, "a", rows)?;
        layout.a = Some(fit);
    }
    if by_parts {
        expect.parts.check(file, n)?;
    }
    Ok(Some(layout))
}

/// The parameters of `n` operators, whose shapes are checked.
fn read_operators(file: &mut TensorFile, expect: &Expect, layout: Layout, n: usize) -> Result<Samples> {
    let mut a = None;
    if let Some(fit) = layout.a {
        a = Some(shared(file.rows("a")?, fit).map_err(|row| {
            anyhow!(
                "{}: tensor `a` has another mask for each color in row {row}; expected one for all colors, [n, height, \
                 width]. For a mask of single values, use the stage \"mask\" in the channel",
                file.path().display()
            )
        })?);
    }
    match a {
        Some(a) if !layout.by_parts => Ok(a),
        rest => expect.parts.read(file, rest.as_ref(), n),
    }
}

/// The mask that NaN in `y` stands for; `None` if `y` has no NaN. A pixel is missing if one of its colors is.
fn mask_of_nan(y: &Samples, expect: &Expect) -> Option<Samples> {
    let k = expect.a.as_ref().and_then(|a| a.len).filter(|k| *k > 0 && y.d().is_multiple_of(*k))?;
    let missing = |row: &[f32], j: usize| row.iter().skip(j).step_by(k).any(|value| value.is_nan());
    let mask = |row: &[f32]| -> Vec<f32> { (0..k).map(|j| f32::from(u8::from(!missing(row, j)))).collect() };
    let a: Vec<f32> = (0..y.n()).flat_map(|i| mask(y.row(i))).collect();
    a.contains(&0.0).then(|| Samples::new(a, k))
}

/// Where nothing is known of the shape of a signal, an array may have any that its mask has as well.
fn alike(file: &mut TensorFile, mut expect: Expect) -> Result<Expect> {
    let Some(a) = expect.a.as_mut().filter(|a| a.image.is_none() && a.shape.len() < 2 && a.len == expect.y.len) else {
        return Ok(expect);
    };
    if file.has("y") && file.has("a") {
        let (y_shape, a_shape) = (file.shape("y")?, file.shape("a")?);
        if y_shape.len() > 2 && y_shape == a_shape && a.len.is_some() && a.len == product(&y_shape[1..]) {
            a.shape = y_shape[1..].to_vec();
            (expect.y.shape, expect.x.shape) = (a.shape.clone(), a.shape.clone());
        }
    }
    Ok(expect)
}

/// Loads the signals `name`, whose rows are those that `expected` says; the array of a `.npy` file is treated as
/// `name`.
///
/// # Errors
/// A file that cannot be read (see [`TensorFile`]), or a shape that is not `[n, d]` or that of images.
pub fn load_signals(path: &Path, name: &str, expected: &Rows) -> Result<Samples> {
    let mut file = TensorFile::open(path, name)?;
    check_rows(&mut file, name, "signal", expected)?;
    file.rows(name)
}

/// Checks the shape `[n, row...]` of the tensor `name`; returns n and how its rows fit.
fn check_rows(file: &mut TensorFile, name: &str, what: &str, expected: &Rows) -> Result<(usize, Fit)> {
    let shape = file.shape(name)?;
    if let [n, row @ ..] = &shape[..]
        && let Some(fit) = expected.fit(row)
    {
        ensure!(!shape.contains(&0), empty(file.path(), name, &shape));
        return Ok((*n, fit));
    }
    let free = if name == "y" { "m" } else { "d" };
    bail!(
        "{}: tensor `{name}` has shape {shape:?}; expected {} (one {what} per row). {}",
        file.path().display(),
        expected.pattern(free),
        expected.advice(name, &shape)
    )
}

fn check_counts(path: &Path, n: usize, name: &str, rows: usize) -> Result<()> {
    let advice = match (name, rows) {
        ("a", 1) => ". If all observations share it, save `numpy.repeat(a, len(y), axis=0)`",
        _ => "",
    };
    ensure!(
        rows == n,
        "{}: tensor `{name}` has {rows} rows and `y` has {n}; expected one row of `{name}` for every observation{advice}",
        path.display()
    );
    Ok(())
}

fn empty(path: &Path, name: &str, shape: &[usize]) -> String {
    format!("{}: tensor `{name}` has shape {shape:?}, which holds no values; expected at least one row", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tensor::Tensor;
    use crate::data::tensor_file::write_tensors;
    use std::collections::BTreeMap;
    use tempfile::tempdir;

    fn expect() -> Expect {
        let a = Rows { len: Some(10), shape: vec![2, 5], image: None };
        Expect { y: Rows::of(Some(2)), a: Some(a), x: Rows::of(Some(5)), parts: Parts::default(), masked: false }
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
    fn signals_of_any_shape_may_have_a_mask_of_the_same() {
        let d = Rows::of(Some(6));
        let masked = Expect {
            y: d.clone(),
            a: Some(Rows { shape: vec![6], ..d.clone() }),
            x: d,
            parts: Parts::default(),
            masked: true,
        };
        let shape: &[usize] = &[4, 2, 3];
        let loaded = load("o.npz", &[("y", shape), ("a", shape), ("x", &[4, 6])], &masked).unwrap();
        assert_eq!((loaded.y.d(), loaded.a.unwrap().d()), (6, 6));
        let other = load("o.npz", &[("y", shape), ("a", &[4, 3, 2])], &masked).unwrap_err().to_string();
        assert!(other.contains("with the values of all arrays in the same order"), "{other}");
    }

    #[test]
    fn without_a_mask_nan_says_what_is_missing() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("o.npz");
        // Two colors of three pixels.
        let values = vec![1.0, f32::NAN, 3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 5.0, f32::NAN];
        let y = Tensor { shape: vec![2, 6], values };
        write_tensors(&path, &[("y", &y)], &BTreeMap::new()).unwrap();
        let of = |k: usize| {
            let a = Some(Rows { len: Some(k), shape: vec![k], image: None });
            let expect =
                Expect { y: Rows::of(Some(6)), a, x: Rows::of(Some(6)), parts: Parts::default(), masked: true };
            load_observations(&path, &expect).unwrap().a.unwrap().as_slice().to_vec()
        };
        assert_eq!(of(6), [1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!(of(3), [1.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn what_the_channel_does_not_need_is_left_alone() {
        let free = Expect::default();
        let loaded = load("o.npz", &[("y", &[4, 3]), ("a", &[7])], &free).unwrap();
        assert_eq!((loaded.y.d(), loaded.a, loaded.truth), (3, None, None));
    }

    #[test]
    fn wrong_shapes_are_told_with_the_expected_one_and_the_way_out() {
        let a: (&str, &[usize]) = ("a", &[4, 2, 5]);
        assert_eq!(
            error(&[("y", &[4, 3, 2]), a]),
            "tensor `y` has shape [4, 3, 2]; expected [n, 2] (one observation per row). \
             Change the sizes in the configuration, or choose another file"
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
        assert!(
            error(&[y, ("a", &[4, 9])]).starts_with("tensor `a` has shape [4, 9]; expected [n, 2, 5] (one operator")
        );
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
        assert_eq!(load_signals(&path, "clean", &Rows::of(Some(4))).unwrap().n(), 3);
        let error = load_signals(&path, "clean", &Rows::of(Some(5))).unwrap_err().to_string();
        assert!(error.contains("tensor `clean` has shape [3, 4]; expected [n, 5] (one signal per row)"), "{error}");
        let free = load_signals(&path, "other", &Rows::of(None)).unwrap_err().to_string();
        assert!(free.contains("there is no tensor `other`; the file holds `clean`"), "{free}");
    }
}
