//! Invalid golden files and reports are refused, and the error says where they fail.

use burn::tensor::Device;
use diffem::checkpoint::{self, Arrays};
use diffem::conformance::{GOLDEN, Golden, Report, Settings, table};

fn arrays() -> (Arrays, Settings) {
    checkpoint::decode("golden", GOLDEN).unwrap()
}

fn error<T>(result: diffem::Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn the_golden_file_is_small_and_of_these_settings() {
    assert!(GOLDEN.len() < 400_000, "{} bytes", GOLDEN.len());
    assert_eq!(arrays().1, Settings::default());
    assert_eq!(Golden::decode(GOLDEN).unwrap().encode().unwrap(), GOLDEN);
}

#[test]
fn one_changed_weight_is_caught() {
    for problem in ["projection", "mask"] {
        let (mut arrays, settings) = arrays();
        let (.., weights) = arrays.iter_mut().find(|(name, ..)| *name == format!("{problem}: weights")).unwrap();
        let middle = weights.len() / 2;
        weights[middle] += 0.01;
        let golden = Golden::decode(&checkpoint::encode("golden", &arrays, &settings).unwrap()).unwrap();
        let report = golden.check("flex", &Device::flex()).unwrap();
        let beyond = report.beyond().expect("a difference");
        assert!(beyond.contains(&format!("{problem}: gradient")), "{beyond}");
        let other = if problem == "mask" { "projection: " } else { "mask: " };
        assert!(!beyond.contains(other), "{beyond}");
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let (all, settings) = arrays();
    for (missing, ..) in &all {
        let left: Arrays = all.iter().filter(|(name, ..)| name != missing).cloned().collect();
        let bytes = checkpoint::encode("golden", &left, &settings).unwrap();
        assert_eq!(error(Golden::decode(&bytes)), format!("checkpoint: tensor `{missing}` is missing"));
    }
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    let changed = |name: &str, change: &dyn Fn(&mut Vec<usize>, &mut Vec<f32>)| {
        let (mut all, settings) = arrays();
        let (_, shape, values) = all.iter_mut().find(|(found, ..)| found == name).unwrap();
        change(shape, values);
        let bytes = checkpoint::encode("golden", &all, &settings).unwrap();
        error(Golden::decode(&bytes).and_then(|golden| golden.check("flex", &Device::flex())))
    };
    let shorten = |shape: &mut Vec<usize>, values: &mut Vec<f32>| {
        _ = values.pop();
        *shape = vec![values.len()];
    };
    assert!(changed("mask: weights", &shorten).starts_with("mask: weights: expected "));
    assert!(changed("mask: gradient", &shorten).starts_with("tensor `mask: gradient`: expected "));
    assert_eq!(changed("mask: x", &|shape, _| shape.reverse()), "tensor `mask: x`: expected [45, 16], found [16, 45]");
    assert!(error(Golden::decode(&GOLDEN[..1000])).contains("not a whole safetensors file"));
}

#[test]
fn a_report_of_other_quantities_or_of_another_file_is_refused() {
    let golden = Golden::decode(GOLDEN).unwrap();
    let report = golden.check("flex", &Device::flex()).unwrap();
    assert_eq!(report.verify(&golden), Ok(()));
    let verify = |change: &dyn Fn(&mut Report)| {
        let mut changed = report.clone();
        change(&mut changed);
        error(changed.verify(&golden))
    };
    assert!(verify(&|report| report.golden = "other".into()).starts_with("golden file: expected "));
    let lacks = verify(&|report| _ = report.rows.pop());
    assert_eq!(lacks, "rows[46]: expected `muon: average` (tolerance 1e-5), found nothing");
    assert!(verify(&|report| report.rows[3].tolerance = 1.0).starts_with("rows[3]: expected `projection: gradient`"));
    // A device that multiplies in TF32 has wider tolerances, for all quantities or none.
    let mut wide = report.clone();
    wide.rows.iter_mut().for_each(|row| row.tolerance *= 500.0);
    assert_eq!(wide.verify(&golden), Ok(()));
    assert!(
        table(&[wide])
            .ends_with("47 of 47 quantities agree, with the tolerances of TF32, 500 times those of the table\n")
    );
    let some = |report: &mut Report| report.rows.iter_mut().skip(9).for_each(|row| row.tolerance *= 500.0);
    assert!(verify(&some).starts_with("rows[9]: expected "));
}
