//! Tests of the core through its public interface. They are one program, because each program links burn anew.

mod channels;
mod clean;
mod draws;
mod exact_images;
mod gaussian_em;
mod image_golden;
mod m_step;
mod matrix_free;
mod metric_golden;
mod operators;
mod posterior;
mod prior;
mod samplers;
mod spectral;
mod unknown_noise;
