//! Settings of the command line, `a.b[0].c=value`.

use super::renamed;
use anyhow::{Result, anyhow, bail};
use diffem::channel::StageConfig;
use toml::{Table, Value};

/// One step of a key: a field of a table or an entry of a list.
enum Part<'a> {
    Field(&'a str),
    Entry(usize),
}

/// Applies one setting to the table of a configuration. The value is read as TOML if possible, and as a string
/// otherwise. A new `kind` empties its table, because the fields of the old kind do not belong to the new one, which
/// takes its own defaults; a word in place of a table that has a `kind` is such a kind. Returns whether a kind changed.
pub fn apply(table: &mut Table, setting: &str) -> Result<bool> {
    let (key, value) = setting.split_once('=').ok_or_else(|| malformed(setting))?;
    let key = key.trim();
    renamed::refuse_setting(key)?;
    let parts = parts(key).ok_or_else(|| malformed(setting))?;
    let mut value = value_of(setting, value.trim())?;
    let Some((Part::Field(first), rest)) = parts.split_first() else { return Err(malformed(setting)) };
    let mut at = match rest.is_empty() {
        true => return Ok(assign(table, first, value)),
        false => table.entry(*first).or_insert_with(|| Value::Table(Table::new())),
    };
    let mut name = first.to_string();
    for (i, part) in rest.iter().enumerate() {
        let last = i + 1 == rest.len();
        match (part, at) {
            (Part::Field(field), Value::Table(inner)) if last => return Ok(assign(inner, field, value)),
            (Part::Field(field), Value::Table(inner)) => {
                at = inner.entry(*field).or_insert_with(|| Value::Table(Table::new()));
                name = format!("{name}.{field}");
            }
            (Part::Entry(index), Value::Array(entries)) => {
                let count = entries.len();
                at = entries.get_mut(*index).ok_or_else(|| {
                    anyhow!(
                        "--set {setting}: `{name}` has {count} entries, counted from 0; set all of it, `{name}=[...]`"
                    )
                })?;
                name = format!("{name}[{index}]");
                if last {
                    let renewed = renew(at, &mut value);
                    *at = value;
                    return Ok(renewed);
                }
            }
            (Part::Field(_), Value::Array(_)) => bail!(
                "--set {setting}: `{name}` is a list; name an entry, counted from 0, such as `{name}[0].kind`, or set all of it, \
                 `{name}=[...]`"
            ),
            (Part::Entry(_), _) => bail!("--set {setting}: `{name}` is not a list; leave out the brackets"),
            (Part::Field(_), _) => bail!("--set {setting}: `{name}` has no fields; set all of it, `{name}=...`"),
        }
    }
    Ok(false)
}

/// The `line` of a configuration where the parser stopped or, since it stops at the first stage of a channel whatever stage is
/// wrong, the place of the first one that cannot be read, such as `channel[1]`.
pub fn place(table: &Table, line: &str) -> String {
    let wrong = |stages: &Vec<Value>| stages.iter().position(|stage| stage.clone().try_into::<StageConfig>().is_err());
    let stages = table.get("channel").and_then(Value::as_array).filter(|_| line == "[[channel]]");
    stages.and_then(wrong).map_or(line.to_string(), |place| format!("channel[{place}]"))
}

/// Adds to a parser's message what a user of settings can do about it; `line` is the place in the resolved configuration,
/// `renewed` the last setting that changed a kind.
pub fn explain(message: &str, line: &str, renewed: Option<&str>) -> String {
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match (missing, renewed.and_then(|setting| setting.split_once('='))) {
        (Some(field), Some((key, kind))) => {
            let (table, kind) = (key.trim().trim_end_matches(".kind"), kind.trim());
            format!("`{kind}` has no default for `{field}`; add --set {table}.{field}=VALUE")
        }
        _ => format!("{message}, at `{line}`"),
    }
}

fn malformed(setting: &str) -> anyhow::Error {
    anyhow!("--set {setting}: expected key=value, such as em.laps=32 or channel[0].std=0.1")
}

/// Splits `a.b[0].c`; `None` if a name is empty or an index is not a number. `a.0` means `a[0]`.
fn parts(key: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    for segment in key.split('.') {
        let (name, indices) = segment.split_at(segment.find('[').unwrap_or(segment.len()));
        match (name.parse(), name.is_empty()) {
            (_, true) => return None,
            (Ok(index), _) if !parts.is_empty() => parts.push(Part::Entry(index)),
            _ => parts.push(Part::Field(name)),
        }
        let mut rest = indices;
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            parts.push(Part::Entry(index.trim().parse().ok()?));
            rest = after;
        }
    }
    Some(parts)
}

/// Reads a value as TOML, as a number that TOML writes otherwise (`.1`), or as a string.
fn value_of(setting: &str, text: &str) -> Result<Value> {
    match toml::from_str::<Table>(&format!("v = {text}")) {
        Ok(mut table) if table.len() == 1 => Ok(table.remove("v").unwrap_or_else(|| Value::String(text.to_string()))),
        Err(error) if text.starts_with(['[', '{']) => bail!(
            "--set {setting}: not a list or table as TOML writes it ({}); put words in quotes and a digit before a point",
            error.message()
        ),
        _ => Ok(number(text).map_or_else(|| Value::String(text.to_string()), Value::Float)),
    }
}

/// A decimal number without a digit on one side of its point.
fn number(text: &str) -> Option<f64> {
    let decimal = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-' | b'e' | b'E'));
    text.parse().ok().filter(|number: &f64| decimal && number.is_finite())
}

/// Sets a field; returns whether that changed a kind.
fn assign(table: &mut Table, field: &str, mut value: Value) -> bool {
    let another = field == "kind" && table.get(field) != Some(&value);
    if another {
        table.clear();
    }
    let renewed = table.get(field).is_some_and(|old| renew(old, &mut value));
    table.insert(field.to_string(), value);
    another || renewed
}

/// Makes a word that replaces a table with a `kind` such a table; returns whether it is one.
fn renew(old: &Value, value: &mut Value) -> bool {
    let word = old.get("kind").is_some() && value.is_str();
    if word {
        *value = Value::Table(Table::from_iter([("kind".to_string(), value.clone())]));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, settings: &[&str]) -> Result<Table> {
        let mut table: Table = toml::from_str(text).unwrap();
        settings.iter().try_for_each(|setting| apply(&mut table, setting).map(drop))?;
        Ok(table)
    }

    const STAGES: &str = "channel = [{ kind = \"mask\", rate = 0.5 }, { kind = \"noise\", std = 1.0 }]\ne.s = { kind = \"ddpm\", steps = 3 }";

    #[test]
    fn entries_of_lists_are_set_by_their_index() {
        for key in ["channel[1].std", "channel.1.std"] {
            let table = after(STAGES, &[&format!("{key}=.1")]).unwrap();
            assert_eq!(table["channel"][1]["std"].as_float(), Some(0.1));
            assert_eq!(table["channel"][0]["rate"].as_float(), Some(0.5));
        }
        let other = after(STAGES, &["channel[0].kind=noise", "channel[0].std=2.0"]).unwrap();
        assert_eq!(other["channel"][0].to_string(), "{ kind = \"noise\", std = 2.0 }");
        let whole = after(STAGES, &["channel[0]={ kind = \"jpeg\" }"]).unwrap();
        assert_eq!(whole["channel"][0].to_string(), "{ kind = \"jpeg\" }");
    }

    #[test]
    fn a_word_in_place_of_a_table_with_a_kind_is_its_kind() {
        let table = after(STAGES, &["e.s=heun", "channel[0]=jpeg"]).unwrap();
        assert_eq!(table["e"]["s"].to_string(), "{ kind = \"heun\" }");
        assert_eq!(table["channel"][0].to_string(), "{ kind = \"jpeg\" }");
    }

    #[test]
    fn numbers_may_lack_a_digit_beside_the_point() {
        for (text, value) in [(".5", 0.5), ("-.5", -0.5), ("2.", 2.0), ("1.e-3", 1e-3)] {
            assert_eq!(after("", &[&format!("a={text}")]).unwrap()["a"].as_float(), Some(value), "{text}");
        }
        for text in ["1.2.3", "e", "-", "word", "2020-01-01x"] {
            assert_eq!(after("", &[&format!("a={text}")]).unwrap()["a"].as_str(), Some(text));
        }
    }

    #[test]
    fn a_missing_field_is_laid_to_the_setting_that_changed_a_kind() {
        let mut table: Table = toml::from_str(STAGES).unwrap();
        let changed = ["e.s=heun", "e.s.steps=3", "channel[0].kind=noise", "channel[1].kind=noise"];
        assert_eq!(changed.map(|setting| apply(&mut table, setting).unwrap()), [true, false, true, false]);
        let stages: Table =
            toml::from_str("channel = [{kind='mask',rate=0.5},{kind='noise',std=1.0,gain=1.0}]").unwrap();
        assert_eq!(["[[channel]]", "std = 1.0"].map(|line| place(&stages, line)), ["channel[1]", "std = 1.0"]);
        let said = explain("missing field `std`", "channel[0]", Some("channel[0].kind=noise"));
        assert_eq!(said, "`noise` has no default for `std`; add --set channel[0].std=VALUE");
        assert_eq!(explain("missing field `std`", "channel[0]", None), "missing field `std`, at `channel[0]`");
    }

    #[test]
    fn keys_that_cannot_be_followed_are_refused() {
        for setting in [
            "",
            "=1",
            "a",
            "a..b=1",
            "channel[=1",
            "channel[x].std=1",
            "channel[2].std=1",
            "channel[-1].std=1",
            "channel.std=1",
            "e[0]=1",
            "e.s.steps.x=1",
            "channel=[{ std=.1 }]",
            "[0]=1",
        ] {
            assert!(after(STAGES, &[setting]).is_err(), "{setting}");
        }
    }
}
