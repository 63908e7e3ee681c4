//! The spectral view of a chain whose stages are all diagonal in one basis.

use super::super::spectrum::{Action, isotropic_of};
use super::super::{LinearChannel, SpectralChannel, Spectrum, wide};
use super::Compose;
use crate::basis::Basis;

impl Compose {
    /// The stages with a spectrum of their own, with their parameters.
    fn spectral_stages<'a>(&'a self, a: &'a [f32]) -> Vec<(&'a dyn SpectralChannel, &'a [f32])> {
        self.linear_stages(a).into_iter().filter_map(|(stage, a)| stage.as_spectral().map(|own| (own, a))).collect()
    }
}

impl SpectralChannel for Compose {
    fn basis(&self) -> &Basis {
        let own = self.stages.iter().find_map(|stage| stage.as_linear().and_then(LinearChannel::as_spectral));
        own.expect("a chain with a spectral view has a stage that has one").basis()
    }

    /// g ← g_s g and v ← g_s² v + v_s, stage by stage.
    fn write_spectrum(&self, a: &[f32], gain: &mut [f64], variance: &mut [f64]) {
        gain.fill(1.0);
        variance.fill(0.0);
        for ((stage, a), action) in self.linear_stages(a).into_iter().zip(self.actions.iter().flatten()) {
            let follow = |(g, v): (&mut f64, &mut f64), own: [f64; 2]| {
                *g *= own[0];
                *v = own[0] * own[0] * *v + own[1];
            };
            let so_far = gain.iter_mut().zip(variance.iter_mut());
            match (action, stage.as_spectral()) {
                (Action::Isotropic(g, v), _) => so_far.for_each(|so_far| follow(so_far, [*g, *v])),
                (Action::IsotropicEach, _) => {
                    let (g, v) = isotropic_of(stage, a);
                    so_far.for_each(|so_far| follow(so_far, [g, v]));
                }
                (Action::Spectral, Some(stage)) => {
                    let own = Spectrum::of(stage, a);
                    let own = own.gain.into_iter().zip(own.variance);
                    so_far.zip(own).for_each(|(so_far, (g, v))| follow(so_far, [g, v]));
                }
                (Action::Spectral, None) => unreachable!("the action of a stage comes from its spectral view"),
            }
        }
    }

    fn write_coefficients(&self, a: &[f32], y: &[f32], out: &mut [f64]) {
        let own = self.spectral_stages(a);
        match own.last() {
            // Around a single stage all others are multiples of the identity, and cosines belong to symmetric maps.
            Some((stage, a)) if own.len() == 1 || matches!(stage.basis(), Basis::Cosine(_)) => {
                stage.write_coefficients(a, y, out);
            }
            _ => {
                let (mut x, mut variance) = (vec![0.0f32; out.len()], vec![0.0; out.len()]);
                self.adjoint(a, y, &mut x);
                self.write_spectrum(a, out, &mut variance);
                let u = self.basis().forward(&wide(&x));
                out.iter_mut().zip(u).for_each(|(g, u)| *g = if *g == 0.0 { 0.0 } else { u / *g });
            }
        }
    }
}
