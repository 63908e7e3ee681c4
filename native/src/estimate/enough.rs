//! Whether there is enough to train a network on.

use crate::report::units::count;

/// Parameters per number that is seen from which a network may learn its observations by heart.
const MOST: u64 = 100;

/// Warns where a network of so many `parameters` has too few numbers to learn from, `seen` ones in all observations.
pub fn too_small(parameters: u64, seen: u64) -> Option<String> {
    (parameters > MOST * seen).then(|| {
        format!(
            "the network has {} parameters, more than {MOST} for each of the {} numbers that are seen: it may learn the \
             observations by heart. Bring more of them, or choose a smaller network (network.width or network.channels)",
            count(parameters),
            count(seen)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::too_small;

    #[test]
    fn a_hundred_parameters_per_number_are_enough() {
        assert_eq!(too_small(48_000, 480), None);
        let said = too_small(48_001, 480).unwrap();
        assert!(said.contains("48,001 parameters") && said.contains("the 480 numbers"), "{said}");
    }
}
