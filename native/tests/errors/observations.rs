//! Observations that cannot be trained on.

use super::common::arrays::{self, Array, signals};
use super::{a, empty, fails, y};
use snapbox::data::Inline;
use snapbox::str;

/// Asserts that training on a file of `observations` fails.
fn observations_fail(observations: &[(&str, Array)], message: Inline) {
    let dir = empty();
    arrays::write(&dir.path().join("o.safetensors"), observations);
    fails(&dir, &["train", "c.toml", "--out", "new"], message);
}

/// Asserts that training on the file `name` with these bytes fails.
fn file_fails(name: &str, bytes: &[u8], message: Inline) {
    let dir = empty();
    std::fs::write(dir.path().join(name), bytes).expect("a file");
    fails(&dir, &["train", "c.toml", "--out", "new", "--observations", name], message);
}

#[test]
fn observations_without_y() {
    observations_fail(
        &[a()],
        str![[r#"
error: o.safetensors: there is no tensor `y`; the file holds `a`. Save it under that name

"#]],
    );
}

#[test]
fn observations_without_operators() {
    observations_fail(
        &[y()],
        str![[r#"
error: o.safetensors: there is no tensor `a`; the file holds `y`. Save it under that name

"#]],
    );
}

#[test]
fn observations_of_another_rank() {
    observations_fail(
        &[("y", (vec![20], signals(20, 1, 1).1)), a()],
        str![[r#"
error: o.safetensors: tensor `y` has shape [20]; expected [n, 1] (one observation per row). Add the missing axis, for example `y.reshape(n, -1)`

"#]],
    );
    observations_fail(
        &[("y", (vec![20, 1, 1], signals(20, 1, 1).1)), a()],
        str![[r#"
error: o.safetensors: tensor `y` has shape [20, 1, 1]; expected [n, 1] (one observation per row). Flatten each row, `y.reshape(len(y), -1)`, or choose another file

"#]],
    );
}

#[test]
fn observations_of_another_length() {
    observations_fail(
        &[("y", signals(20, 3, 1)), a()],
        str![[r#"
error: o.safetensors: tensor `y` has shape [20, 3]; expected [n, 1] (one observation per row). Change the sizes in the configuration, or choose another file

"#]],
    );
}

#[test]
fn operators_of_another_shape() {
    observations_fail(
        &[y(), ("a", (vec![20, 2, 1], a().1.1))],
        str![[r#"
error: o.safetensors: tensor `a` has shape [20, 2, 1]; expected [n, 1, 2] (one operator per row). Change the sizes in the configuration, or choose another file

"#]],
    );
}

#[test]
fn operators_of_another_count() {
    observations_fail(
        &[y(), ("a", (vec![19, 1, 2], signals(19, 2, 2).1))],
        str![[r#"
error: o.safetensors: tensor `a` has 19 rows and `y` has 20; expected one row of `a` for every observation

"#]],
    );
}

#[test]
fn truth_of_another_length() {
    observations_fail(
        &[y(), a(), ("x", signals(20, 3, 3))],
        str![[r#"
error: o.safetensors: tensor `x` has shape [20, 3]; expected [n, 2] (one signal per row). Change the sizes in the configuration, or choose another file

"#]],
    );
}

#[test]
fn values_that_are_not_finite() {
    let with = |at: usize, value: f32, (name, (shape, mut values)): (&'static str, Array)| {
        values[at] = value;
        (name, (shape, values))
    };
    observations_fail(
        &[with(7, f32::NAN, y()), a()],
        str![[r#"
error: o.safetensors: tensor `y`: the value at [7, 0] is NaN as float32; expected finite numbers. Repair or remove that row

"#]],
    );
    observations_fail(
        &[y(), with(23, f32::INFINITY, a())],
        str![[r#"
error: o.safetensors: tensor `a`: the value at [11, 0, 1] is inf as float32; expected finite numbers. Repair or remove that row

"#]],
    );
}

#[test]
fn a_single_observation() {
    observations_fail(
        &[("y", signals(1, 1, 1)), ("a", (vec![1, 1, 2], vec![1.0, 0.0]))],
        str![[r#"
error: o.safetensors: expected 2 or more observations, found 1

"#]],
    );
}

#[test]
fn a_file_cut_short() {
    let dir = empty();
    let path = dir.path().join("o.safetensors");
    arrays::write(&path, &[y(), a()]);
    let bytes = std::fs::read(&path).expect("a file");
    file_fails(
        "o.safetensors",
        &bytes[..bytes.len() - 5],
        str![[r#"
error: o.safetensors: the header promises 240 bytes of data and the file has 235: the file is damaged or cut short; write or copy it again

"#]],
    );
    file_fails(
        "o.safetensors",
        &bytes[..5],
        str![[r#"
error: o.safetensors: not a safetensors file: it is only 5 bytes long

"#]],
    );
}

#[test]
fn a_file_of_garbage() {
    file_fails(
        "o.npz",
        b"this is not a zip archive",
        str![[r#"
error: o.npz: not a whole .npz (zip) file: invalid Zip archive: Could not find EOCD

"#]],
    );
    file_fails(
        "o.safetensors",
        b"this is not a safetensors file",
        str![[r#"
error: o.safetensors: not a safetensors file, or cut short: its header of 2338328219631577204 bytes does not fit in it

"#]],
    );
    file_fails(
        "o.npy",
        b"this is not an array",
        str![[r#"
error: o.npy: tensor `y`: not an array in .npy format

"#]],
    );
}

#[test]
fn a_file_of_another_format() {
    file_fails(
        "o.pt",
        b"",
        str![[r#"
error: o.pt: unknown tensor format; expected a name that ends in .safetensors, .npz or .npy

"#]],
    );
}

#[test]
fn a_file_that_is_not_there() {
    fails(
        &empty(),
        &["train", "c.toml", "--out", "new"],
        str![[r#"
error: cannot read o.safetensors (check the path): No such file or directory (os error 2)

"#]],
    );
    fails(
        &empty(),
        &["train", "c.toml", "--out", "new", "--observations", "no/o.npz"],
        str![[r#"
error: cannot read no/o.npz (check the path): No such file or directory (os error 2)

"#]],
    );
}
