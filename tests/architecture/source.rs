//! The content of one file: the modules that it declares, the names that it defines and the paths that it
//! uses. Comments, strings and test-only items are left out.

use std::collections::BTreeSet;

/// One path of a file as it is written there; `crate`, `super`, `self` or a name in scope comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Segments; the last one of a glob is `*`.
    pub path: Vec<String>,
    /// Name that a `use` brings into this file; `None` for a path inside an expression or a type.
    pub alias: Option<String>,
    /// Whether the `use` is `pub`.
    pub public: bool,
    /// Line, from 1.
    pub line: usize,
}

/// The content of a file that matters for its imports.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Modules declared with `mod name;`, with the file of a `#[path]`.
    pub modules: Vec<(String, Option<String>)>,
    /// Names of the items that the file defines.
    pub items: BTreeSet<String>,
    /// Its paths, in order.
    pub paths: Vec<Found>,
}

/// A word or a punctuation mark, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

const DEFINING: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules"];

impl Source {
    /// Reads the text of a Rust file.
    pub fn parse(text: &str) -> Self {
        let mut tokens = without_tests(tokens(text));
        let paths = file_attributes(text);
        let mut source = Self::default();
        let mut i = 0;
        while i < tokens.len() {
            let word = tokens[i].text.as_str();
            match word {
                "use" => i = source.take_use(&tokens, i),
                "mod" if is(&tokens, i + 2, ";") => {
                    let name = tokens[i + 1].text.clone();
                    let file = paths.iter().find(|(line, _)| *line + 1 == tokens[i].line).map(|(_, file)| file.clone());
                    source.modules.push((name, file));
                    i += 3;
                }
                // The paths of an inline module begin one module below the file's.
                "mod" if is(&tokens, i + 2, "{") => {
                    let end = closing(&tokens, i + 2);
                    raise(&mut tokens[i + 3..end]);
                    i += 3;
                }
                _ if DEFINING.contains(&word) && tokens.get(i + 1).is_some() => {
                    let at = if word == "macro_rules" { i + 2 } else { i + 1 };
                    source.items.extend(tokens.get(at).map(|token| token.text.clone()));
                    i += 1;
                }
                _ => i = source.take_path(&tokens, i),
            }
        }
        source
    }

    /// Takes `use a::{b, c as d};` at `i`; returns the position behind it.
    fn take_use(&mut self, tokens: &[Token], i: usize) -> usize {
        let end = (i..tokens.len()).find(|&j| tokens[j].text == ";").unwrap_or(tokens.len());
        let public = i > 0 && (tokens[i - 1].text == "pub" || tokens[i - 1].text == ")");
        let mut leaves = Vec::new();
        tree(&tokens[i + 1..end], &[], &mut leaves);
        let line = tokens[i].line;
        self.paths.extend(leaves.into_iter().map(|(path, alias)| Found { path, alias: Some(alias), public, line }));
        end + 1
    }

    /// Takes `a::b::c` at `i`, if there is one; returns the position behind it.
    fn take_path(&mut self, tokens: &[Token], i: usize) -> usize {
        let mut path = vec![tokens[i].text.clone()];
        let mut end = i + 1;
        while is_word(&path[0]) && is(tokens, end, "::") && tokens.get(end + 1).is_some_and(|t| is_word(&t.text)) {
            path.push(tokens[end + 1].text.clone());
            end += 2;
        }
        let begins = i == 0 || !["::", "."].contains(&tokens[i - 1].text.as_str());
        if path.len() > 1 && begins {
            self.paths.push(Found { path, alias: None, public: false, line: tokens[i].line });
        }
        end
    }
}

fn is(tokens: &[Token], i: usize, text: &str) -> bool {
    tokens.get(i).is_some_and(|token| token.text == text)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Rewrites the paths of an inline module as its file would write them: `super::x` there is the file's own
/// `x`.
fn raise(tokens: &mut [Token]) {
    for i in 0..tokens.len() {
        let first = i == 0 || tokens[i - 1].text != "::";
        if first && tokens[i].text == "super" && is(tokens, i + 1, "::") {
            tokens[i].text = "self".into();
        }
    }
}

/// Collects the leaves of a tree of uses below `prefix`, as path and name.
fn tree(tokens: &[Token], prefix: &[String], leaves: &mut Vec<(Vec<String>, String)>) {
    for branch in split(tokens) {
        let place = |sign: &str| branch.iter().position(|token| token.text == sign);
        let (group, renamed) = (place("{"), place("as"));
        let end = group.or(renamed).unwrap_or(branch.len());
        let segments = branch[..end].iter().map(|token| token.text.clone()).filter(|text| text != "::");
        let mut path: Vec<String> = prefix.iter().cloned().chain(segments).collect();
        if let Some(open) = group {
            tree(&branch[open + 1..closing(branch, open)], &path, leaves);
        } else if path.len() > prefix.len() {
            // `a::{self}` is `a`.
            path.pop_if(|last| last == "self");
            let name = renamed.map(|i| branch[i + 1].text.clone()).or(path.last().cloned());
            leaves.extend(name.map(|name| (path, name)));
        }
    }
}

/// Returns the parts between the commas that are outside braces.
fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (i, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&tokens[begin..i]);
                begin = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[begin..]);
    parts
}

/// Position of the token that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    tokens.len() - 1
}

/// The tokens without items behind `#[cfg(test)]` or `#[cfg(all(test, ..))]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        if is(&tokens, i, "#") && is(&tokens, i + 1, "[") {
            let end = closing(&tokens, i + 1);
            let words: String = tokens[i + 2..end].iter().map(|token| token.text.as_str()).collect();
            // The contents of other attributes are not imports.
            i = if words == "cfg(test)" || words.starts_with("cfg(all(test") {
                behind(&tokens, end + 1)
            } else {
                end + 1
            };
        } else {
            kept.push(tokens[i].clone());
            i += 1;
        }
    }
    kept
}

/// Position behind the item that begins at `i`.
fn behind(tokens: &[Token], mut i: usize) -> usize {
    let braced = |i: usize| !is(tokens, i, "use") && !is(tokens, i, "pub");
    let mut item = braced(i);
    while i < tokens.len() {
        match tokens[i].text.as_str() {
            "use" => item = false,
            "fn" | "mod" | "impl" | "struct" | "enum" | "trait" => item = true,
            ";" => return i + 1,
            "{" => {
                let end = closing(tokens, i);
                if item {
                    return end + 1;
                }
                i = end;
            }
            "(" | "[" => i = closing(tokens, i),
            _ => {}
        }
        i += 1;
    }
    i
}

/// `#[path = ".."]`: its line and the file.
fn file_attributes(text: &str) -> Vec<(usize, String)> {
    let file = |line: &str| {
        let rest = line.trim().strip_prefix("#[path")?.split_once('"')?.1;
        Some(rest.split_once('"')?.0.to_string())
    };
    text.lines().enumerate().filter_map(|(i, line)| Some((i + 1, file(line)?))).collect()
}

/// Words and punctuation marks, without comments and strings.
fn tokens(text: &str) -> Vec<Token> {
    let text: Vec<char> = text.chars().collect();
    let (mut tokens, mut line, mut i) = (Vec::new(), 1, 0);
    while i < text.len() {
        let end = match text[i] {
            '/' if text.get(i + 1) == Some(&'/') => until(&text, i, |c| c == '\n'),
            '/' if text.get(i + 1) == Some(&'*') => comment(&text, i),
            '"' => string(&text, i),
            'r' | 'b' | 'c' if begins_string(&text, i) => prefixed(&text, i),
            '\'' => character(&text, i),
            c if c.is_alphanumeric() || c == '_' => {
                let end = until(&text, i, |c| !(c.is_alphanumeric() || c == '_'));
                tokens.push(Token { text: text[i..end].iter().collect(), line });
                end
            }
            c if c.is_whitespace() => i + 1,
            ':' if text.get(i + 1) == Some(&':') => {
                tokens.push(Token { text: "::".into(), line });
                i + 2
            }
            c => {
                tokens.push(Token { text: c.to_string(), line });
                i + 1
            }
        };
        line += text[i..end].iter().filter(|c| **c == '\n').count();
        i = end;
    }
    tokens
}

fn until(text: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..text.len()).find(|&i| stop(text[i])).unwrap_or(text.len())
}

/// The end of a block comment; they nest.
fn comment(text: &[char], from: usize) -> usize {
    let (mut depth, mut i) = (0, from);
    while i + 1 < text.len() {
        match (text[i], text[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    text.len()
}

/// The end of the string whose first quote is at `from`.
fn string(text: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < text.len() {
        match text[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    text.len()
}

/// Whether `r".."`, `r#".."#`, `b".."`, `br".."` or `b'.'` begins here, and not a name.
fn begins_string(text: &[char], i: usize) -> bool {
    let rest: String = text[i..].iter().take(8).collect();
    let rest = rest.trim_start_matches(['b', 'c']);
    let raw = rest.strip_prefix('r').is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'));
    raw || (rest.len() < 8 && rest.starts_with(['"', '\'']))
}

/// The end of a string with a prefix.
fn prefixed(text: &[char], from: usize) -> usize {
    let begin = until(text, from, |c| matches!(c, '"' | '\'' | '#'));
    if text[begin] == '\'' {
        return character(text, begin);
    }
    if !text[from..begin].contains(&'r') {
        return string(text, begin);
    }
    let quote = until(text, begin, |c| c == '"');
    let close: Vec<char> = std::iter::once('"').chain(text[begin..quote].iter().copied()).collect();
    (quote + 1..text.len()).find(|&i| text[i..].starts_with(&close)).map_or(text.len(), |i| i + close.len())
}

/// The end of `'a'`, or of the quote of a lifetime.
fn character(text: &[char], from: usize) -> usize {
    match (text.get(from + 1), text.get(from + 2)) {
        (Some('\\'), _) => until(text, from + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}
