//! Channels that a trained posterior does not accept.

use super::{fails, trained};
use snapbox::str;

#[test]
fn channels_of_other_shapes() {
    for command in ["sample", "evaluate"] {
        fails(
            &trained(),
            &[command, "run", "--channel", r#"[{ kind = "projection", rows = 2 }]"#],
            str![[r#"
error: --channel: it gives observations of 2 values, operators of shape [2, 2] and 5 features for the network; the run was trained with observations of 1 values, operators of shape [1, 2] and 5 features for the network: expected the same, or train another run for that channel

"#]],
        );
    }
    fails(
        &trained(),
        &["sample", "run", "--channel", r#"[{ kind = "mask", rate = 0.5 }]"#],
        str![[r#"
error: --channel: it gives observations of 2 values, operators of shape [2] and 4 features for the network; the run was trained with observations of 1 values, operators of shape [1, 2] and 5 features for the network: expected the same, or train another run for that channel

"#]],
    );
}

#[test]
fn settings_of_stages_outside_their_ranges() {
    fails(
        &trained(),
        &["sample", "run", "--channel", r#"[{ kind = "self-mask", threshold = 0.5, width = -1.0 }]"#],
        str![[r#"
error: --channel: channel[0].width: expected a number >= 0, found -1

"#]],
    );
    fails(
        &trained(),
        &["sample", "run", "--channel", r#"[{ kind = "noise-level", min = 0.2, max = 0.1 }]"#],
        str![[r#"
error: --channel: channel[0].max: expected a number >= 0.2 (min), found 0.1

"#]],
    );
    fails(
        &trained(),
        &["sample", "run", "--channel", r#"[{ kind = "poisson-gaussian", std = 0.1, gain = -1.0 }]"#],
        str![[r#"
error: --channel: channel[0].gain: expected a number >= 0, found -1

"#]],
    );
    fails(
        &trained(),
        &["sample", "run", "--channel", r#"[{ kind = "rotate-project" }]"#],
        str![[r#"
error: --channel: channel[0].kind: "rotate-project" needs images: here the signal is a vector of length 2

"#]],
    );
}

#[test]
fn channels_that_are_none() {
    fails(
        &trained(),
        &["sample", "run", "--channel", r#"[{ kind = "mask", rate = 1.5 }]"#],
        str![[r#"
error: --channel: channel[0].rate: expected a number in [0, 1), found 1.5

"#]],
    );
    fails(
        &trained(),
        &["evaluate", "run", "--channel", "mask"],
        str![[r#"
error: --channel: TOML parse error at line 1, column 11
  |
1 | channel = mask
  |           ^^^^
string values must be quoted, expected literal string

"#]],
    );
    fails(
        &trained(),
        &["evaluate", "run", "--channel", "[]", "--samples", "x.npz"],
        str![[r#"
error: the argument '--channel <STAGES>' cannot be used with '--samples <FILE>'

Usage: diffem evaluate --channel <STAGES> <RUN>

For more information, try '--help'.

"#]],
    );
}
