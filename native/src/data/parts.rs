//! Parameters of operators whose parts lie in tensors of their own, such as a mask `a` and the sensitivities `maps`.

use super::layout::Rows;
use super::tensor::product;
use super::tensor_file::TensorFile;
use anyhow::{Result, bail, ensure};
use diffem::Samples;
use diffem::channel::OperatorPart;

/// Parts with names of their own, and the rows that hold the other parameters.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// In the order of their places.
    pub named: Vec<OperatorPart>,
    /// The other parameters, in `a`.
    pub rest: Rows,
}

impl Parts {
    /// True where the parameters in `file` are to be put together: it has a part, or its `a` lacks all of them.
    pub fn apply(&self, file: &mut TensorFile) -> Result<bool> {
        let has_part = self.named.iter().any(|part| file.has(part.name));
        if has_part || self.named.is_empty() || !file.has("a") {
            return Ok(has_part);
        }
        let shape = file.shape("a")?;
        Ok(shape.get(1..).and_then(product).is_some_and(|len| Some(len) == self.rest.len))
    }

    /// Checks the shapes of all parts for `n` observations, before any data is read.
    ///
    /// # Errors
    /// A part that is not in the file or has another shape.
    pub fn check(&self, file: &mut TensorFile, n: usize) -> Result<()> {
        for part in &self.named {
            let shape = file.shape(part.name)?;
            if !is_shared(part, &shape) && !is_rows(part, &shape) {
                let size = join(&part.shape);
                bail!(
                    "{}: tensor `{}` has shape {shape:?}; expected [n, {size}] for the {n} observations, or [{size}] for all \
                     of them. The real and the imaginary plane of a complex image are next to each other",
                    file.path().display(),
                    part.name
                );
            }
            let rows = shape[0];
            ensure!(
                is_shared(part, &shape) || rows == n,
                "{}: tensor `{}` has {rows} rows and `y` has {n}; expected one row for every observation, or [{}] for all",
                file.path().display(),
                part.name,
                join(&part.shape)
            );
        }
        Ok(())
    }

    /// The parameters of `n` observations, of which the other ones are `rest [n, ...]`, where there are any.
    ///
    /// # Errors
    /// Numbers that are not finite, or a row of nothing but zeros, with its place.
    pub fn read(&self, file: &mut TensorFile, rest: Option<&Samples>, n: usize) -> Result<Samples> {
        let mut tables = Vec::new();
        for part in &self.named {
            let shared = is_shared(part, &file.shape(part.name)?);
            let values = file.rows(part.name)?;
            let values = if shared { Samples::new(values.as_slice().to_vec(), part.range.len()) } else { values };
            if let Some(row) = values.rows().position(|row| row.iter().all(|v| *v == 0.0)) {
                bail!(
                    "{}: tensor `{}` is 0 everywhere in row {row}, so that nothing was measured; expected the sensitivities of \
                     that observation. Repair or remove the row",
                    file.path().display(),
                    part.name
                );
            }
            tables.push(values);
        }
        let length = rest.map_or(0, Samples::d) + self.named.iter().map(|part| part.range.len()).sum::<usize>();
        let mut out = Samples::zeros(n, length);
        for i in 0..n {
            let (mut from, row) = (rest.map_or(&[][..], |rest| rest.row(i)), out.row_mut(i));
            let mut at = 0;
            for (part, table) in self.named.iter().zip(&tables) {
                let (own, others) = from.split_at(part.range.start - at);
                row[at..part.range.start].copy_from_slice(own);
                row[part.range.clone()].copy_from_slice(table.row(if table.n() == 1 { 0 } else { i }));
                (from, at) = (others, part.range.end);
            }
            row[at..].copy_from_slice(from);
        }
        Ok(out)
    }
}

/// Whether an array of this shape is the same part for all observations: planes, or pairs of planes.
fn is_shared(part: &OperatorPart, shape: &[usize]) -> bool {
    match (shape, &part.shape[..]) {
        ([planes, rest @ ..], [all, others @ ..]) if rest == others => planes == all,
        ([pairs, 2, rest @ ..], [all, others @ ..]) if rest == others => 2 * pairs == *all,
        ([1, row @ ..], shape) => row == shape,
        _ => false,
    }
}

/// Whether the rows of an array of this shape are parts, flat or as they are.
fn is_rows(part: &OperatorPart, shape: &[usize]) -> bool {
    shape.get(1..).is_some_and(|row| row == part.shape || row == [part.range.len()])
}

fn join(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::layout::Rows;
    use super::super::observations::{Expect, load_observations};
    use super::super::tensor::Tensor;
    use super::super::tensor_file::write_tensors;
    use super::*;
    use std::collections::BTreeMap;
    use tempfile::tempdir;

    /// Two values of each observation, of two coils on images of 1 x 2 pixels: a mask, then the maps.
    fn expect() -> Expect {
        let maps = OperatorPart { name: "maps", range: 2..10, shape: vec![4, 1, 2] };
        let rest = Rows { len: Some(2), shape: vec![1, 2], image: None };
        let a = Rows { len: Some(10), shape: vec![5, 1, 2], image: None };
        let parts = Parts { named: vec![maps], rest };
        Expect { y: Rows::of(Some(2)), a: Some(a), x: Rows::of(None), parts, masked: false }
    }

    fn load(arrays: &[(&str, &[usize], Vec<f32>)]) -> Result<Vec<f32>> {
        let dir = tempdir().unwrap();
        let path = dir.path().join("o.npz");
        let tensors: Vec<_> = arrays
            .iter()
            .map(|(name, shape, values)| (*name, Tensor { shape: shape.to_vec(), values: values.clone() }))
            .collect();
        let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
        write_tensors(&path, &tensors, &BTreeMap::new())?;
        Ok(load_observations(&path, &expect())?.a.unwrap().as_slice().to_vec())
    }

    fn ramp(from: usize, n: usize) -> Vec<f32> {
        (from..from + n).map(|v| v as f32).collect()
    }

    fn seen() -> [(&'static str, &'static [usize], Vec<f32>); 2] {
        [("y", &[3, 2], ramp(0, 6)), ("a", &[3, 1, 2], vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0])]
    }

    #[test]
    fn mask_and_maps_are_put_together() {
        let rows = |maps: [Vec<f32>; 3]| {
            let masks = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
            masks.iter().zip(maps).flat_map(|(mask, maps)| mask.iter().copied().chain(maps)).collect::<Vec<f32>>()
        };
        let each = rows([ramp(1, 8), ramp(9, 8), ramp(17, 8)]);
        let shared = rows([ramp(1, 8), ramp(1, 8), ramp(1, 8)]);
        let [y, a] = seen();
        let with = |shape: &'static [usize], n| load(&[y.clone(), a.clone(), ("maps", shape, ramp(1, n))]).unwrap();
        assert_eq!(with(&[3, 4, 1, 2], 24), each);
        assert_eq!(with(&[3, 8], 24), each);
        // Complex maps of two coils for all are pairs of planes.
        for shape in [&[4, 1, 2][..], &[2, 2, 1, 2], &[1, 4, 1, 2]] {
            let found = load(&[y.clone(), a.clone(), ("maps", shape, ramp(1, 8))]).unwrap();
            assert_eq!(found, shared, "{shape:?}");
        }
        // As `corrupt` writes them.
        assert_eq!(load(&[y, ("a", &[3, 10], each.clone())]).unwrap(), each);
    }

    #[test]
    fn what_is_wrong_with_maps_is_told() {
        let [y, a] = seen();
        let error = |more: &[(&'static str, &'static [usize], Vec<f32>)]| {
            let error = format!("{:#}", load(&[&[y.clone(), a.clone()][..], more].concat()).unwrap_err());
            error.split_once("/o.npz: ").unwrap().1.to_string()
        };
        assert!(error(&[]).starts_with("there is no tensor `maps`; the file holds `a`, `y`"), "{}", error(&[]));
        let shape = error(&[("maps", &[3, 2, 1, 2], ramp(1, 12))]);
        assert!(
            shape.starts_with("tensor `maps` has shape [3, 2, 1, 2]; expected [n, 4, 1, 2] for the 3 observations, or"),
            "{shape}"
        );
        let rows = error(&[("maps", &[2, 4, 1, 2], ramp(1, 16))]);
        assert!(rows.starts_with("tensor `maps` has 2 rows and `y` has 3; expected one row for every"), "{rows}");
        let mut values = ramp(1, 24);
        values[9] = f32::NAN;
        let nan = error(&[("maps", &[3, 4, 1, 2], values.clone())]);
        assert!(nan.starts_with("tensor `maps`: the value at [1, 0, 0, 1] is NaN"), "{nan}");
        values[8..16].fill(0.0);
        let zero = error(&[("maps", &[3, 4, 1, 2], values)]);
        assert!(zero.starts_with("tensor `maps` is 0 everywhere in row 1"), "{zero}");
    }
}
