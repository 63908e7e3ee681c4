//! A parser's messages in the words of configuration files.

/// What the parser calls a type, and what a reader of a configuration calls it.
const TYPES: [(&str, &str); 12] = [
    ("usize", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("u32", "a whole number, 0 or more"),
    ("u16", "a whole number, 0 or more"),
    ("u8", "a whole number, 0 to 255"),
    ("f64", "a number"),
    ("f32", "a number"),
    ("a sequence", "a list, [...]"),
    ("a borrowed string", "a string"),
    ("a map", "a table of settings"),
    ("unit variant", "a name"),
    ("unit struct", "a table of settings"),
];

/// The parser's names for types of the program, each followed by one word that a reader cannot know.
const NAMED: [(&str, &str); 5] = [
    ("internally tagged enum ", "a table with a `kind`, { kind = \"...\" }"),
    ("tuple struct ", "a list, [...]"),
    ("newtype struct ", "a value"),
    ("struct ", "a table of settings"),
    ("enum ", "a name"),
];

/// A parser's message in which plain words replace the names of Rust types.
pub fn plain(message: &str) -> String {
    let message = message.trim_end();
    if let Some((place, unknown)) = message.rsplit_once("unknown field ")
        && let Some((found, known)) = unknown.split_once(", expected ")
    {
        let known = known.strip_prefix("one of ").unwrap_or(known);
        return format!("{place}unknown field {found}; the fields here are {known}");
    }
    let Some((before, expected)) = message.rsplit_once("expected ") else { return message.to_string() };
    for (name, words) in NAMED {
        if let Some(rest) = expected.strip_prefix(name) {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            return format!("{before}expected {words}{}", &rest[end..]);
        }
    }
    for (name, words) in TYPES {
        if let Some(rest) = expected.strip_prefix(name) {
            return format!("{before}expected {words}{rest}");
        }
    }
    message.to_string()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_of_types_are_replaced_and_all_else_is_kept() {
        for (message, expected) in [
            (
                "invalid type: integer `3`, expected struct EmConfig",
                "invalid type: integer `3`, expected a table of settings",
            ),
            (
                "invalid type: string \"a\", expected internally tagged enum InitConfig\nin `init`",
                "invalid type: string \"a\", expected a table with a `kind`, { kind = \"...\" }\nin `init`",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "invalid value: integer `-1`, expected a whole number, 0 or more",
            ),
            ("unknown variant `x`, expected one of `a`, `b`", "unknown variant `x`, expected one of `a`, `b`"),
            ("missing field `std`\n", "missing field `std`"),
            ("unknown field `gain`, expected `std`", "unknown field `gain`; the fields here are `std`"),
            (
                "line 1\nunknown field `x`, expected one of `a`, `b`, `c`\n",
                "line 1\nunknown field `x`; the fields here are `a`, `b`, `c`",
            ),
        ] {
            assert_eq!(plain(message), expected);
        }
    }
}
