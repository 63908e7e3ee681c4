//! Images in an unknown position.

use diffem::channel::{Channel, ChannelConfig, Compose, NoiseConfig, RotateProjectConfig};
use diffem::image::ImageShape;
use diffem::noise::{Key, Purpose};

const SIDE: usize = 9;
const SHAPE: ImageShape = ImageShape { channels: 1, height: SIDE, width: SIDE };
const BACKGROUND: f64 = -2.0;

/// An L on black, which no rotation maps to itself.
fn shape() -> Vec<f32> {
    let on = |i: usize, j: usize| (2..7).contains(&i) && j == 3 || i == 6 && (3..6).contains(&j);
    (0..SIDE * SIDE).map(|p| if on(p / SIDE, p % SIDE) { 1.5 } else { BACKGROUND as f32 }).collect()
}

fn quarter_turned(x: &[f32]) -> Vec<f32> {
    (0..x.len()).map(|p| x[(p % SIDE) * SIDE + SIDE - 1 - p / SIDE]).collect()
}

fn channel(angle: f64, shift: f64, project: bool) -> Compose {
    let stage = RotateProjectConfig { angle, shift, project, background: BACKGROUND };
    ChannelConfig(vec![stage.into()]).build_image(SHAPE).unwrap()
}

fn observe(channel: &Compose, x: &[f32], index: usize) -> Vec<f64> {
    let mut y = vec![0.0; channel.observation_len()];
    channel.observe(x, &[], &mut Key::new(7, Purpose::Observe, 0).stream(index, 0), &mut y);
    y.into_iter().map(f64::from).collect()
}

/// Mean and mean products of observations, `[m]` and `[m, m]`.
fn moments(observations: impl Iterator<Item = Vec<f64>>) -> (Vec<f64>, Vec<f64>) {
    let (mut n, mut mean, mut products) = (0.0, Vec::new(), Vec::new());
    for y in observations {
        mean.resize(y.len(), 0.0);
        products.resize(y.len() * y.len(), 0.0);
        n += 1.0;
        mean.iter_mut().zip(&y).for_each(|(m, y)| *m += y);
        products.iter_mut().enumerate().for_each(|(p, v)| *v += y[p / y.len()] * y[p % y.len()]);
    }
    mean.iter_mut().chain(&mut products).for_each(|v| *v /= n);
    (mean, products)
}

/// The observation for one angle and shift: every pixel of the image spreads as a tent to where it is moved, looked at
/// from the observation's pixels.
fn direct(x: &[f32], degrees: f64, [down, across]: [f64; 2], project: bool) -> Vec<f64> {
    let (half, (sin, cos)) = ((SIDE / 2) as f64, degrees.to_radians().sin_cos());
    let tent = |v: f64| (1.0 - v.abs()).max(0.0);
    let pixel = |p: usize| {
        let (i, j) = ((p / SIDE) as f64 - half - down, (p % SIDE) as f64 - half - across);
        let (row, column) = (cos * i - sin * j + half, sin * i + cos * j + half);
        let weight = |q: usize| tent(row - (q / SIDE) as f64) * tent(column - (q % SIDE) as f64);
        BACKGROUND + (0..SIDE * SIDE).map(|q| weight(q) * (f64::from(x[q]) - BACKGROUND)).sum::<f64>()
    };
    let turned: Vec<f64> = (0..SIDE * SIDE).map(pixel).collect();
    let column = |j: usize| (0..SIDE).map(|i| turned[i * SIDE + j]).sum::<f64>() / SIDE as f64;
    if project { (0..SIDE).map(column).collect() } else { turned }
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Moments over all angles, against a sum over 720 of them.
#[test]
fn the_moments_are_those_of_all_positions() {
    let x = shape();
    for project in [false, true] {
        let turned = channel(180.0, 0.0, project);
        let drawn = moments((0..20_000).map(|i| observe(&turned, &x, i)));
        let exact = moments((0..720).map(|k| direct(&x, f64::from(k) * 0.5, [0.0; 2], project)));
        // Values vary by at most 1.8 and their products by at most 4 around their means: standard errors of .012 and .03.
        assert!(worst(&drawn.0, &exact.0) < 0.06, "{project}: mean {}", worst(&drawn.0, &exact.0));
        assert!(worst(&drawn.1, &exact.1) < 0.15, "{project}: products {}", worst(&drawn.1, &exact.1));
        // The angle is seen: the values of a turned image are not those of the mean.
        let variance = (0..exact.0.len()).map(|j| exact.1[j * (exact.0.len() + 1)] - exact.0[j] * exact.0[j]);
        assert!(variance.fold(0.0, f64::max) > if project { 0.1 } else { 1.0 });
    }
}

#[test]
fn the_moments_are_those_of_all_shifts_and_of_few_angles() {
    let x = shape();
    let moved = channel(30.0, 1.0, true);
    let drawn = moments((0..20_000).map(|i| observe(&moved, &x, i)));
    let middle = |k: usize, n: usize, most: f64| most * ((2 * k + 1) as f64 / n as f64 - 1.0);
    let places = (0..24).flat_map(|a| (0..12).flat_map(move |b| (0..12).map(move |c| [a, b, c])));
    let exact = moments(
        places.map(|[a, b, c]| direct(&x, middle(a, 24, 30.0), [middle(b, 12, 1.0), middle(c, 12, 1.0)], true)),
    );
    // Means of columns vary by at most .8, and their products by at most 2.5, around their means.
    assert!(worst(&drawn.0, &exact.0) < 0.03, "mean {}", worst(&drawn.0, &exact.0));
    assert!(worst(&drawn.1, &exact.1) < 0.09, "products {}", worst(&drawn.1, &exact.1));
}

/// A shape and the same shape turned by a quarter, which the pixels hold exactly, cannot be told apart; with half the
/// angles they can.
#[test]
fn observations_in_all_positions_do_not_tell_how_a_shape_was_turned() {
    let (x, turned) = (shape(), quarter_turned(&shape()));
    assert!(
        worst(&direct(&turned, 90.0, [0.0; 2], false), &direct(&x, 0.0, [0.0; 2], false)) < 1e-9
            || worst(&direct(&turned, -90.0, [0.0; 2], false), &direct(&x, 0.0, [0.0; 2], false)) < 1e-9
    );
    for (angle, same) in [(180.0, true), (45.0, false)] {
        let channel = channel(angle, 0.0, true);
        let [first, second] = [(&x, 0), (&turned, 20_000)]
            .map(|(x, start)| moments((start..start + 20_000).map(|i| observe(&channel, x, i))));
        // Means of columns vary by at most .8 around their means.
        let (mean, products) = (worst(&first.0, &second.0), worst(&first.1, &second.1));
        assert_eq!(mean < 0.04 && products < 0.12, same, "{angle} degrees: {mean} {products}");
    }
}

/// The network is not told the position.
#[test]
fn the_position_is_no_parameter() {
    for (project, height) in [(false, SIDE), (true, 1)] {
        let channel = channel(180.0, 2.0, project);
        assert_eq!((channel.operator_len(), channel.observation_len()), (0, height * SIDE));
        assert_eq!(channel.condition_len(), height * SIDE);
        assert_eq!(channel.observation_image().unwrap(), ImageShape { height, ..SHAPE });
        assert!(channel.as_linear().is_none());
    }
    let still = channel(0.0, 0.0, false);
    assert_eq!(observe(&still, &shape(), 0), direct(&shape(), 0.0, [0.0; 2], false));
    // A projection is a picture of one line, to which noise is added.
    let stages = vec![
        RotateProjectConfig { angle: 180.0, shift: 0.0, project: true, background: 0.0 }.into(),
        NoiseConfig { std: 0.1.into() }.into(),
    ];
    let channel = ChannelConfig(stages).build_image(ImageShape { channels: 2, height: 4, width: 6 }).unwrap();
    assert_eq!(channel.observation_image().unwrap(), ImageShape { channels: 2, height: 1, width: 6 });
}

#[test]
fn bad_positions_are_named() {
    let message = |stage: RotateProjectConfig| {
        ChannelConfig(vec![stage.into()]).build_image(SHAPE).err().map(|e| e.to_string()).unwrap()
    };
    let good = RotateProjectConfig { angle: 180.0, shift: 0.0, project: false, background: -2.0 };
    assert_eq!(
        message(RotateProjectConfig { angle: 181.0, ..good.clone() }),
        "channel[0].angle: expected degrees in [0, 180], found 181"
    );
    assert_eq!(
        message(RotateProjectConfig { shift: 10.0, ..good.clone() }),
        "channel[0].shift: expected pixels in [0, 9] (the image's shorter side), found 10"
    );
    assert_eq!(
        message(RotateProjectConfig { background: f64::NAN, ..good }),
        "channel[0].background: expected a finite number, found NaN"
    );
}
