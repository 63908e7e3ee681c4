//! Weight files: where to get them, where to put them, and whether they are the right ones.

use crate::files;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// One weight file. diffem neither contains nor downloads any.
#[derive(Clone, Copy)]
pub struct WeightFile {
    /// Name of the file.
    pub file: &'static str,
    /// Package that contains it or downloads it.
    pub package: &'static str,
    /// Command that gets the package.
    pub command: &'static str,
    /// Location of the file after that command.
    pub inside: &'static str,
    /// License of the weights.
    pub license: &'static str,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: &'static str,
}

/// State of a weight file on the disk.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    Missing,
    Right,
    /// A file with this other SHA-256.
    Wrong(String),
}

impl WeightFile {
    /// Checks the file in `dir`.
    pub fn state(&self, dir: &Path) -> Result<State> {
        let path = dir.join(self.file);
        if !path.exists() {
            return Ok(State::Missing);
        }
        let found = sha256(files::open(&path)?).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(if found == self.sha256 { State::Right } else { State::Wrong(found) })
    }

    /// Returns the path of the file in `dir` after checking that it is the right one.
    pub fn require(&self, dir: &Path) -> Result<PathBuf> {
        let path = dir.join(self.file);
        match self.state(dir)? {
            State::Right => Ok(path),
            State::Missing => {
                bail!("the weights {} are missing: `diffem fetch-weights` says where to get them", path.display())
            }
            State::Wrong(found) => bail!("{}", self.wrong(&path, &found)),
        }
    }

    /// Error message for a different file under this name.
    pub fn wrong(&self, path: &Path, found: &str) -> String {
        format!("{}: SHA-256 {found}, expected {}; get the file again", path.display(), self.sha256)
    }
}

/// SHA-256 in hexadecimal. The file is streamed because some files are larger than a gigabyte.
fn sha256(mut file: impl Read) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    std::io::copy(&mut file, &mut digest)?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns `dir`, or diffem/weights in the user's data directory ($XDG_DATA_HOME, else ~/.local/share).
pub fn directory(dir: Option<&Path>) -> Result<PathBuf> {
    if let Some(dir) = dir {
        return Ok(dir.to_path_buf());
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    match data {
        Some(data) => Ok(data.join("diffem/weights")),
        None => bail!("neither XDG_DATA_HOME nor HOME is set: say where the weights are, `--weights DIR`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let found = sha256(&b"abc"[..]).unwrap();
        assert_eq!(found, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn another_file_is_told_from_the_right_one() {
        let dir = tempfile::tempdir().unwrap();
        let weights = WeightFile {
            file: "w",
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ..super::super::efficientnet_lite0::NETWORK.weights
        };
        assert!(weights.require(dir.path()).unwrap_err().to_string().contains("fetch-weights"));
        std::fs::write(dir.path().join("w"), b"abd").unwrap();
        assert!(weights.require(dir.path()).unwrap_err().to_string().contains("expected ba7816bf"));
        std::fs::write(dir.path().join("w"), b"abc").unwrap();
        assert_eq!(weights.require(dir.path()).unwrap(), dir.path().join("w"));
    }
}
