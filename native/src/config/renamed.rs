//! Settings that had another name before 0.1.0. They are refused, and the error gives the new name.

use anyhow::{Result, bail};

/// Old dotted key, and what to write instead.
const RENAMED: [(&str, &str); 8] = [
    ("em.start", "the table `init`, with the same fields"),
    ("conditioning.method", "`method = { kind = ... }`"),
    ("conditioning.mmps", "the fields `iterations` and `bound` of `method = { kind = \"em-mmps\" }`"),
    ("conditioning.ambient", "the field `further` of `method = { kind = \"ambient\" }`"),
    ("conditioning.standardise", "`conditioning.standardize`"),
    ("monitor.regularisation", "`monitor.regularization`"),
    ("report.regularisation", "`report.regularization`"),
    ("channel.quantisation", "`kind = \"quantization\"`"),
];

/// Returns an error that gives the new name if a table uses an old one.
pub fn refuse(table: &toml::Table) -> Result<()> {
    for (old, new) in RENAMED {
        let found = match old {
            "channel.quantisation" => has_kind(table.get("channel"), "quantisation"),
            _ => has_key(table, old),
        };
        if found {
            bail!("`{old}` has another name now: write {new}");
        }
    }
    Ok(())
}

/// Returns an error that gives the new name if the key of a setting `key=value` is or starts with an old one.
pub fn refuse_setting(key: &str) -> Result<()> {
    let below = |old: &str| key == old || key.strip_prefix(old).is_some_and(|rest| rest.starts_with('.'));
    match RENAMED.iter().find(|(old, _)| below(old)) {
        Some((old, new)) => bail!("--set {key}: `{old}` has another name now: write {new}"),
        None => Ok(()),
    }
}

fn has_key(table: &toml::Table, dotted: &str) -> bool {
    let mut at = Some(table);
    let parts: Vec<&str> = dotted.split('.').collect();
    for (i, part) in parts.iter().enumerate() {
        let Some(value) = at.and_then(|table| table.get(*part)) else { return false };
        if i + 1 == parts.len() {
            return true;
        }
        at = value.as_table();
    }
    false
}

fn has_kind(stages: Option<&toml::Value>, kind: &str) -> bool {
    let stages = stages.and_then(toml::Value::as_array);
    stages
        .is_some_and(|stages| stages.iter().any(|stage| stage.get("kind").and_then(toml::Value::as_str) == Some(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_refused_with_the_new_ones() {
        let message = |text: &str| refuse(&toml::from_str(text).unwrap()).err().map(|e| e.to_string());
        let start = message("[em.start]\nkind = \"gaussian\"").unwrap();
        assert_eq!(start, "`em.start` has another name now: write the table `init`, with the same fields");
        assert!(message("[conditioning]\nstandardise = \"auto\"").unwrap().contains("conditioning.standardize"));
        let stages = "channel = [{ kind = \"noise\", std = 0.1 }, { kind = \"quantisation\", levels = 4 }]";
        assert!(message(stages).unwrap().contains("quantization"));
        assert_eq!(message("[em]\nlaps = 3\n[conditioning]\nstandardize = \"auto\""), None);
        assert!(refuse_setting("em.start.path").unwrap_err().to_string().contains("`init`"));
        assert!(refuse_setting("em.started").is_ok() && refuse_setting("init.path").is_ok());
    }
}
