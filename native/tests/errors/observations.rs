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
        &[("y", (vec![20, 2, 1], signals(20, 2, 1).1)), a()],
        str![[r#"
error: o.safetensors: tensor `y` has shape [20, 2, 1]; expected [n, 1] (one observation per row). Change the sizes in the configuration, or choose another file

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
        &[y(), ("a", (vec![20, 3, 1], signals(20, 3, 2).1))],
        str![[r#"
error: o.safetensors: tensor `a` has shape [20, 3, 1]; expected [n, 1, 2] (one operator per row). Change the sizes in the configuration, or choose another file

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
error: o.safetensors: observations y: the value at [7, 0] is NaN; expected finite numbers wherever the signal is seen: repair or remove that row

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
error: o.pt: unknown tensor format; expected a name that ends in .safetensors, .npz, .npy, .fits, .tif or .h5

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

/// Writes 30 masked signals of length 4 after `change` of (y, a), and asserts that training on them fails.
fn masked_fail(change: impl Fn(&mut f32, &mut f32), message: Inline) {
    let dir = empty();
    let (_, mut y) = signals(30, 4, 1);
    let mut a: Vec<f32> = (0..120).map(|i| f32::from(u8::from(i % 4 != i / 4 % 4))).collect();
    y.iter_mut().zip(&mut a).for_each(|(y, a)| {
        *y *= *a;
        change(y, a);
    });
    arrays::write(&dir.path().join("o.safetensors"), &[("y", (vec![30, 4], y)), ("a", (vec![30, 4], a))]);
    let mask = ["--set", "channel=[{ kind = \"mask\", rate = 0.25 }]", "--set", "data.signal=4"];
    fails(&dir, &[&["train", "c.toml", "--out", "new", "--progress", "quiet"], &mask[..]].concat(), message);
}

#[test]
fn masks_of_other_numbers() {
    masked_fail(
        |_, a| *a *= 255.0,
        str![[r#"
error: o.safetensors: operators a: the value at [0, 1] is 255; a mask holds 0 where a value is missing and 1 where it is seen. It holds 0 and 255: divide it by 255

"#]],
    );
    masked_fail(
        |_, a| *a = a.max(0.25),
        str![[r#"
error: o.safetensors: operators a: the value at [0, 0] is 0.25; a mask holds 0 where a value is missing and 1 where it is seen. It holds values between 0.25 and 1, as a mask that was resized or smoothed: save `a > 0.5`, and 0 in `y` where that is false

"#]],
    );
}

#[test]
fn an_inverted_mask() {
    masked_fail(
        |_, a| *a = 1.0 - *a,
        str![[r#"
error: o.safetensors: operators a: the mask is inverted: y is 0 wherever a = 1, and varies where a = 0. 1 means seen: save `1 - a`

"#]],
    );
}

#[test]
fn a_number_that_is_none_where_it_is_seen() {
    masked_fail(
        |y, _| *y = if *y > 1.0 { f32::NAN } else { *y },
        str![[r#"
error: o.safetensors: observations y: the value at [2, 1] is NaN (the first of 16); expected finite numbers wherever the signal is seen: mark it as missing (0 in `a` and in `y`), or remove that row

"#]],
    );
}

#[test]
fn observations_without_spread() {
    masked_fail(
        |y, a| *y = 0.5 * *a,
        str![[r#"
error: o.safetensors: observations y: all values that are seen are 0.5: there is no spread to learn, check the file

"#]],
    );
    masked_fail(
        |y, a| (*y, *a) = (0.0, 0.0),
        str![[r#"
error: o.safetensors: observations y: all values are missing (0 in `a`), so there is nothing to learn from: check the mask

"#]],
    );
}

/// Asserts that training on pictures of 2 x 3 pixels in three colors fails, given arrays of these shapes.
fn pictures_fail(shape: &[usize], mask: &[usize], message: Inline) {
    let dir = empty();
    let array = |shape: &[usize], value: f32| {
        let len = shape.iter().product();
        (shape.to_vec(), if value > 0.0 { vec![value; len] } else { signals(1, len, 3).1 })
    };
    arrays::write(&dir.path().join("o.safetensors"), &[("y", array(shape, 0.0)), ("a", array(mask, 1.0))]);
    let settings = [
        "--set",
        "channel=[{ kind = \"pixel-mask\", rate = 0.25 }]",
        "--set",
        "data={ kind = \"file\", path = \"o.safetensors\", shape = { channels = 3, height = 2, width = 4 } }",
    ];
    fails(&dir, &[&["train", "c.toml", "--out", "new", "--progress", "quiet"], &settings[..]].concat(), message);
}

#[test]
fn pictures_whose_axes_are_in_another_order() {
    pictures_fail(
        &[20, 2, 4, 3],
        &[20, 2, 4],
        str![[r#"
error: o.safetensors: tensor `y` has shape [20, 2, 4, 3]; expected [n, 24] or [n, 3, 2, 4] (one observation per row). The colors come last: save `y.transpose(0, 3, 1, 2)`

"#]],
    );
    pictures_fail(
        &[20, 3, 2, 4],
        &[20, 4, 2],
        str![[r#"
error: o.safetensors: tensor `a` has shape [20, 4, 2]; expected [n, 8] or [n, 2, 4] (one operator per row). Its last two axes are swapped: save `a.transpose(0, 2, 1)`

"#]],
    );
    pictures_fail(
        &[20, 24],
        &[1, 2, 4],
        str![[r#"
error: o.safetensors: tensor `a` has 1 rows and `y` has 20; expected one row of `a` for every observation. If all observations share it, save `numpy.repeat(a, len(y), axis=0)`

"#]],
    );
}
