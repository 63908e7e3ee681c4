//! Learns a circle that is observed only through random projections, and draws from the posterior.
//!
//! ```sh
//! cargo run --release --example quickstart
//! ```

use burn::tensor::Device;
use diffem::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};
use diffem::em::{Event, MStepConfig, MonitorConfig};
use diffem::network::MlpConfig;
use diffem::schedule::Schedule;
use diffem::{Em, Observations, Result, Samples};

/// Mean distance of points in the plane from the unit circle.
fn distance_from_circle(points: &Samples) -> f32 {
    points.rows().map(|p| (p[0].hypot(p[1]) - 1.0).abs()).sum::<f32>() / points.n() as f32
}

pub fn main() -> Result<()> {
    // 1024 points on a circle, each observed only through one random projection with noise.
    let circle = Samples::new((0..1024).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]).collect(), 2);
    let channel =
        ChannelConfig::from([ProjectionConfig { rows: 1 }.into(), NoiseConfig { std: 0.05.into() }.into()]).build(2)?;
    let seen = Observations::observe(&channel, &circle, 0);
    let new = Observations::observe(&channel, &circle.first(3), 1);

    let mut run = Em::new(channel, seen)
        .network(MlpConfig { width: 64, depth: 3, embedding: 8 })
        .m_step(MStepConfig { steps: 600, batch: 256, ema: 0.99, ..Default::default() })
        .monitor(MonitorConfig { holdout: 0.0, ..Default::default() }) // 100 observations cannot tell laps apart
        .schedule(Schedule { sigma_min: 0.02, sigma_max: 5.0, ..Default::default() })
        .laps(8)
        .build(&Device::flex())?;
    println!("start: mean distance from the circle {:.3}", distance_from_circle(run.reconstructions()));
    run.run(|event| {
        if matches!(event, Event::Lap(_)) {
            println!("{event}");
        }
    })?;
    println!("end: mean distance from the circle {:.3}", distance_from_circle(run.reconstructions()));

    // Each new observation is one number: its posterior lies where the circle meets a line.
    let draws = run.posterior()?.sample(&new, 4)?;
    for i in 0..new.n() {
        let points: Vec<String> = (4 * i..4 * i + 4).map(|row| format!("{:5.2?}", draws.row(row))).collect();
        println!("y = {:5.2}: draws {}", new.y.row(i)[0], points.join(" "));
    }
    Ok(())
}
