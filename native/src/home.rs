//! The home directory, for which a `~` stands at the start of a path. A shell replaces it only where a word begins with
//! it, not in `--out=~/run`, in quotes or in a file.

use std::env::home_dir;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The path with the home directory for a leading `~`.
pub fn expanded(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_path_buf(),
    }
}

/// A word of the command line with the home directory for a `~/` at its start or after its first `=`.
pub fn expanded_word(word: OsString) -> OsString {
    if Path::new(&word).starts_with("~") && word != "~" {
        return expanded(Path::new(&word)).into_os_string();
    }
    let split = word.to_str().and_then(|text| text.split_once('='));
    match split.filter(|(_, value)| value.starts_with("~/")) {
        Some((key, value)) => {
            let mut out = OsString::from(format!("{key}="));
            out.push(expanded(Path::new(value)));
            out
        }
        None => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leading_tilde_is_the_home_directory() {
        let Some(home) = home_dir() else { return };
        assert_eq!(expanded(Path::new("~/a/b")), home.join("a/b"));
        for same in ["a/~/b", "~a/b", "/~", ""] {
            assert_eq!(expanded(Path::new(same)), Path::new(same));
        }
        let word = |word: &str| expanded_word(word.into()).into_string().unwrap();
        let home = home.display();
        assert_eq!(word("~/obs.npz"), format!("{home}/obs.npz"));
        assert_eq!(word("--out=~/run"), format!("--out={home}/run"));
        assert_eq!(word("data.path=~/o.npz"), format!("data.path={home}/o.npz"));
        assert_eq!(["--out", "~", "a=b~/c"].map(word), ["--out", "~", "a=b~/c"]);
    }
}
