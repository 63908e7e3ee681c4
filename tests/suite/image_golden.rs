//! Scores of images and of features against scikit-image, SciPy and NumPy (fixture: ../golden/image_metrics.py), to 1e-6
//! relative.

use diffem::Samples;
use diffem::image::ImageShape;
use diffem::metric::{Kid, frechet_distance, inception_score, psnr, ssim};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    grid: f32,
    images: Vec<ImageCase>,
    features: Vec<FeatureCase>,
}

#[derive(Deserialize)]
struct ImageCase {
    channels: usize,
    height: usize,
    width: usize,
    range: f64,
    x: Vec<i32>,
    y: Vec<i32>,
    psnr: f64,
    psnr_second_half: f64,
    ssim: f64,
    ssim_odd: Option<f64>,
}

#[derive(Deserialize)]
struct FeatureCase {
    d: usize,
    u: Vec<i32>,
    v: Vec<i32>,
    frechet: f64,
    kid: f64,
    inception: [f64; 2],
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/image.json")).expect("the fixture is what its script writes")
}

fn samples(values: &[i32], grid: f32, d: usize) -> Samples {
    Samples::new(values.iter().map(|&q| q as f32 / grid).collect(), d)
}

fn assert_close(found: f64, expected: f64, name: &str) {
    assert!((found / expected - 1.0).abs() < 1e-6, "{name}: {found}, expected {expected}");
}

#[test]
fn psnr_and_ssim_are_those_of_scikit_image() {
    let golden = golden();
    for case in &golden.images {
        let shape = ImageShape { channels: case.channels, height: case.height, width: case.width };
        let (x, y) = (samples(&case.x, golden.grid, shape.len()), samples(&case.y, golden.grid, shape.len()));
        let half: Vec<bool> = (0..shape.len()).map(|i| i >= shape.len() / 2).collect();
        let name = format!("{shape:?}");
        assert_close(psnr(&x, &y, case.range, None).unwrap(), case.psnr, &name);
        assert_close(psnr(&x, &y, case.range, Some(&half)).unwrap(), case.psnr_second_half, &name);
        assert_close(ssim(&x, &y, shape, case.range, None).unwrap(), case.ssim, &name);
        let odd: Vec<bool> = (0..shape.len()).map(|i| i % 2 == 1).collect();
        match case.ssim_odd {
            Some(expected) => assert_close(ssim(&x, &y, shape, case.range, Some(&odd)).unwrap(), expected, &name),
            None => assert!(ssim(&x, &y, shape, case.range, Some(&odd)).is_err(), "{name}: no window is odd"),
        }
    }
    assert!(golden.images.iter().any(|case| case.channels == 3 && case.ssim_odd.is_some()));
}

#[test]
fn distances_of_features_are_those_of_the_reference_formulas() {
    let golden = golden();
    for case in &golden.features {
        let (u, v) = (samples(&case.u, golden.grid, case.d), samples(&case.v, golden.grid, case.d));
        assert_close(frechet_distance(&u, &v).unwrap(), case.frechet, "Fréchet distance");
        let kid = Kid { subset_size: u.n(), ..Kid::default() };
        assert_close(kid.estimate(&u, &v).unwrap().mean, case.kid, "kernel distance");
        let (mean, std) = inception_score(&u, 3).unwrap();
        assert_close(mean, case.inception[0], "inception score");
        assert_close(std, case.inception[1], "its deviation");
    }
}
