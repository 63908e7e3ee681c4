//! Configurations and settings that do not exist or are out of range.

use super::common::TINY;
use super::common::arrays;
use super::{a, empty, fails, y};
use snapbox::data::Inline;
use snapbox::str;

/// Asserts that training with `--set setting` fails.
fn setting_fails(setting: &str, message: Inline) {
    let dir = empty();
    arrays::write(&dir.path().join("o.safetensors"), &[y(), a()]);
    fails(&dir, &["train", "c.toml", "--out", "new", "--set", setting], message);
}

#[test]
fn a_configuration_that_is_not_there() {
    fails(
        &empty(),
        &["train", "manifld", "--out", "new"],
        str![[r#"
error: `manifld` is neither a preset (manifold, manifold-paper, digits, fashion-mask75, fashion-mask50, fashion-blur, emoji-mask75, cifar10-mask75-small, cifar10-mask90-small, cifar10-blur-small, cifar10-mask75, cifar10-mask90, cifar10-blur, celeba-mask50, celeba-mask75, mri, ct, galaxies, gaussian, gaussian-5d) nor a file

"#]],
    );
    fails(
        &empty(),
        &["config", "show", "no/c.toml"],
        str![[r#"
error: `no/c.toml` is neither a preset (manifold, manifold-paper, digits, fashion-mask75, fashion-mask50, fashion-blur, emoji-mask75, cifar10-mask75-small, cifar10-mask90-small, cifar10-blur-small, cifar10-mask75, cifar10-mask90, cifar10-blur, celeba-mask50, celeba-mask75, mri, ct, galaxies, gaussian, gaussian-5d) nor a file

"#]],
    );
}

#[test]
fn a_field_that_does_not_exist() {
    let dir = empty();
    let text = TINY.replace("shard = 32", "shards = 32");
    std::fs::write(dir.path().join("c.toml"), text).expect("a file");
    // The message names the line of the file, with or without settings.
    fails(
        &dir,
        &["train", "c.toml", "--out", "new"],
        str![[r#"
error: c.toml: TOML parse error at line 32, column 1
   |
32 | shards = 32
   | ^^^^^^
unknown field `shards`; the fields here are `sampler` or `shard`

"#]],
    );
    fails(
        &dir,
        &["train", "c.toml", "--out", "new", "--seed", "1"],
        str![[r#"
error: c.toml: TOML parse error at line 32, column 1
   |
32 | shards = 32
   | ^^^^^^
unknown field `shards`; the fields here are `sampler` or `shard`

"#]],
    );
}

#[test]
fn a_file_that_is_not_toml() {
    let dir = empty();
    std::fs::write(dir.path().join("c.toml"), "name = \"tiny\n[data]\n").expect("a file");
    fails(
        &dir,
        &["train", "c.toml", "--out", "new"],
        str![[r#"
error: c.toml: TOML parse error at line 1, column 13
  |
1 | name = "tiny
  |             ^
invalid basic string, expected `"`

"#]],
    );
    std::fs::write(dir.path().join("c.toml"), b"name = \"\xff\"").expect("a file");
    fails(
        &dir,
        &["train", "c.toml", "--out", "new"],
        str![[r#"
error: c.toml: not UTF-8 text: invalid utf-8 sequence of 1 bytes from index 8

"#]],
    );
}

#[test]
fn settings_that_cannot_be_made() {
    setting_fails(
        "em.laps",
        str![[r#"
error: --set em.laps: expected key=value, such as em.laps=32 or channel[0].std=0.1

"#]],
    );
    setting_fails(
        "=3",
        str![[r#"
error: --set =3: expected key=value, such as em.laps=32 or channel[0].std=0.1

"#]],
    );
    setting_fails(
        "em.laps=many",
        str![[r#"
error: c.toml with --set em.laps=many: invalid type: string "many", expected a whole number, 0 or more, at `laps = "many"`

"#]],
    );
    setting_fails(
        "channel=[{ kind = \"mask\", rate = 0.5 }, { kind = \"noise\", std = 0.1, gain = 0.1 }]",
        str![[r#"
error: c.toml with --set channel=[{ kind = "mask", rate = 0.5 }, { kind = "noise", std = 0.1, gain = 0.1 }]: unknown field `gain`; the fields here are `std`, at `channel[1]`

"#]],
    );
    setting_fails(
        "channel=[{ kind = \"noise\", std = \"unknwn\" }]",
        str![[r#"
error: c.toml with --set channel=[{ kind = "noise", std = "unknwn" }]: std: expected a number >= 0, or "unknown" to estimate it from the observations, at `channel[0]`

"#]],
    );
    setting_fails(
        "em.lapse=3",
        str![[r#"
error: c.toml with --set em.lapse=3: unknown field `lapse`; the fields here are `laps` or `patience`, at `lapse = 3`

"#]],
    );
    setting_fails(
        "channel.rows=3",
        str![[r#"
error: --set channel.rows=3: `channel` is a list; name an entry, counted from 0, such as `channel[0].kind`, or set all of it, `channel=[...]`

"#]],
    );
}

#[test]
fn settings_whose_place_or_kind_is_incomplete() {
    setting_fails(
        "channel[7].rows=3",
        str![[r#"
error: --set channel[7].rows=3: `channel` has 2 entries, counted from 0; set all of it, `channel=[...]`

"#]],
    );
    setting_fails(
        "em[0]=1",
        str![[r#"
error: --set em[0]=1: `em` is not a list; leave out the brackets

"#]],
    );
    setting_fails(
        "channel=[{ kind = noise }]",
        str![[r#"
error: --set channel=[{ kind = noise }]: not a list or table as TOML writes it (invalid float, expected `nan`); put words in quotes and a digit before a point

"#]],
    );
    setting_fails(
        "channel[0].kind=noise",
        str![[r#"
error: c.toml with --set channel[0].kind=noise: `noise` has no default for `std`; add --set channel[0].std=VALUE

"#]],
    );
    setting_fails(
        "init=prior",
        str![[r#"
error: c.toml with --set init=prior: `prior` has no default for `path`; add --set init.path=VALUE

"#]],
    );
    setting_fails(
        "init=7",
        str![[r#"
error: c.toml with --set init=7: invalid type: integer `7`, expected a table with a `kind`, { kind = "..." }, at `init = 7`

"#]],
    );
}

#[test]
fn settings_of_the_wrong_type() {
    setting_fails(
        "em=3",
        str![[r#"
error: c.toml with --set em=3: invalid type: integer `3`, expected a table of settings, at `em = 3`

"#]],
    );
    setting_fails(
        "data.signal=2.5",
        str![[r#"
error: c.toml with --set data.signal=2.5: invalid type: floating point `2.5`, expected a whole number, 0 or more, at `[data]`

"#]],
    );
    setting_fails(
        "m_step.ema=high",
        str![[r#"
error: c.toml with --set m_step.ema=high: invalid type: string "high", expected a number, at `ema = "high"`

"#]],
    );
    setting_fails(
        "channel=noise",
        str![[r#"
error: c.toml with --set channel=noise: invalid type: string "noise", expected a list, [...], at `channel = "noise"`

"#]],
    );
    setting_fails(
        "name=runs/mine",
        str![[r#"
error: c.toml with --set name=runs/mine: name: expected a word that can be part of a file name, found "runs/mine"

"#]],
    );
    setting_fails(
        "e_step.sampler.kind=euler",
        str![[r#"
error: c.toml with --set e_step.sampler.kind=euler: unknown variant `euler`, expected one of `ddpm`, `ddim`, `heun`, `dpmpp2m`, `dpmpp2m-sde`, `pc`, at `kind = "euler"`

"#]],
    );
}

#[test]
fn settings_out_of_range() {
    setting_fails(
        "em.laps=0",
        str![[r#"
error: c.toml with --set em.laps=0: em.laps: expected 1 or more, found 0

"#]],
    );
    setting_fails(
        "schedule.sigma_max=0.0001",
        str![[r#"
error: c.toml with --set schedule.sigma_max=0.0001: schedule.sigma_max: expected a number > sigma_min = 0.001, found 0.0001

"#]],
    );
    setting_fails(
        "m_step.ema=1.0",
        str![[r#"
error: c.toml with --set m_step.ema=1.0: m_step.ema: expected a number in [0, 1), found 1

"#]],
    );
    setting_fails(
        "seed=-1",
        str![[r#"
error: c.toml with --set seed=-1: invalid value: integer `-1`, expected a whole number, 0 or more, at `seed = -1`

"#]],
    );
    setting_fails(
        "e_step.shard=4611686018427387904",
        str![[r#"
error: c.toml with --set e_step.shard=4611686018427387904: e_step.shard: expected at most 16777216, found 4611686018427387904

"#]],
    );
}

#[test]
fn settings_of_a_channel_out_of_range() {
    setting_fails(
        "channel=[{ kind = \"noise\", std = -0.1 }]",
        str![[r#"
error: c.toml with --set channel=[{ kind = "noise", std = -0.1 }]: channel[0].std: expected a number >= 0, found -0.1

"#]],
    );
    setting_fails(
        "channel=[{ kind = \"noise\", std = 0.1 }, { kind = \"mask\", rate = 1.5 }]",
        str![[r#"
error: c.toml with --set channel=[{ kind = "noise", std = 0.1 }, { kind = "mask", rate = 1.5 }]: channel[1].rate: expected a number in [0, 1), found 1.5

"#]],
    );
    setting_fails(
        "channel=[]",
        str![[r#"
error: c.toml with --set channel=[]: channel: expected one or more stages

"#]],
    );
}

#[test]
fn a_seed_that_no_configuration_can_hold() {
    fails(
        &empty(),
        &["train", "gaussian", "--out", "new", "--seed", "18446744073709551615"],
        str![[r#"
error: invalid value '18446744073709551615' for '--seed <SEED>': 18446744073709551615 is not in 0..=9223372036854775807

For more information, try '--help'.

"#]],
    );
}
