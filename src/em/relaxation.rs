//! Over-relaxed EM (Salakhutdinov & Roweis 2003): how far beyond the M-step an E-step goes.
//!
//! A lap of EM moves the prior from π' to π. Going ω times as far gives π (π / π')^(ω - 1), up to a constant,
//! whose denoiser is D + (ω - 1) (D - D'), where D' is the denoiser of the previous lap. The factor helps while
//! EM is far from its fixed point, and harms where the difference between two laps is mostly the networks'
//! error. Only the held-out observations can tell the two apart.

/// Improvement in standard errors of the held-out score below which a lap no longer deserves its factor.
const SIGNIFICANT: f64 = 2.0;
/// Factors below it are not worth a second network call.
const LEAST: f64 = 1.2;

/// What the held-out score says of an over-relaxed lap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Relaxation {
    /// Whether its reconstructions are kept; otherwise the E-step is repeated without over-relaxation.
    pub keep: bool,
    /// Factor of the coming E-steps.
    pub next: f64,
}

impl Relaxation {
    /// Judges a lap with factor `factor` whose held-out score is `excess` standard errors worse than the best
    /// before it. A worse lap is not kept, and all that follow are plain; a lap that is hardly better halves
    /// the excess of the factor over 1.
    pub fn judge(factor: f64, excess: f64) -> Self {
        let next = match excess {
            e if e > 0.0 => 1.0,
            e if e > -SIGNIFICANT => 1.0 + 0.5 * (factor - 1.0),
            _ => factor,
        };
        Self { keep: excess <= 0.0, next: if next < LEAST { 1.0 } else { next } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_lasts_as_long_as_the_score_improves() {
        assert_eq!(Relaxation::judge(2.0, -5.0), Relaxation { keep: true, next: 2.0 });
        assert_eq!(Relaxation::judge(2.0, -1.0), Relaxation { keep: true, next: 1.5 });
        assert_eq!(Relaxation::judge(1.3, -1.0), Relaxation { keep: true, next: 1.0 });
        assert_eq!(Relaxation::judge(2.0, 0.1), Relaxation { keep: false, next: 1.0 });
    }
}
