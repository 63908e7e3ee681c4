//! Names of the files that observations came from: row i of a run belongs to line i of `names.txt`, and
//! pictures are written under these names again.

use crate::files;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Writes one name per line to `path`.
pub fn write(path: &Path, names: &[String]) -> Result<()> {
    let line = |name: &String| name.replace(char::is_control, "\u{fffd}") + "\n";
    files::write_atomic(path, names.iter().map(line).collect::<String>().as_bytes())
}

/// Reads back the `n` names of [`write()`]; `None` if there is no such file.
pub fn read(path: &Path, n: usize) -> Result<Option<Vec<String>>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = String::from_utf8(files::read(path)?).with_context(|| format!("{}: not UTF-8 text", path.display()))?;
    let names: Vec<String> = text.lines().map(String::from).collect();
    let found = names.len();
    ensure!(
        found == n,
        "{}: holds {found} names for {n} observations; restore it, or delete it to go by numbers",
        path.display()
    );
    Ok(Some(names))
}

/// The PNG file of each of `n` rows, relative to a folder: `a/b.jpg` becomes `a/b.png`, or `a/b.jpg.png` where
/// several names would become the same. Rows without names are numbered from 000000.png.
pub fn targets(names: Option<&[String]>, n: usize) -> Vec<PathBuf> {
    let Some(names) = names else { return (0..n).map(|i| format!("{i:06}.png").into()).collect() };
    let plain: Vec<PathBuf> = names.iter().enumerate().map(|(i, name)| inside(name, i)).collect();
    let png: Vec<PathBuf> = plain.iter().map(|path| path.with_extension("png")).collect();
    let once = counts(&png);
    let longer = |path: &PathBuf| PathBuf::from(format!("{}.png", path.display()));
    let png: Vec<PathBuf> =
        plain.iter().zip(png).map(|(plain, png)| if once[&key(&png)] > 1 { longer(plain) } else { png }).collect();
    let twice = counts(&png);
    let numbered = |i: usize, path: PathBuf| path.with_extension(format!("{i}.png"));
    png.into_iter().enumerate().map(|(i, path)| if twice[&key(&path)] > 1 { numbered(i, path) } else { path }).collect()
}

/// The name of row `i` without parts that lead out of a folder.
fn inside(name: &str, i: usize) -> PathBuf {
    let parts = Path::new(name).components().filter(|part| matches!(part, Component::Normal(_)));
    let path: PathBuf = parts.collect();
    if path.file_name().is_none() { format!("{i:06}").into() } else { path }
}

fn counts(paths: &[PathBuf]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    paths.iter().for_each(|path| *counts.entry(key(path)).or_default() += 1);
    counts
}

/// Some file systems do not distinguish capitals.
fn key(path: &Path) -> String {
    path.to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn pictures_keep_their_names_and_folders() {
        let of = |list: &[&str]| {
            let paths = targets(Some(&names(list)), list.len());
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(&["a/b.jpg", "c d.é.WEBP", "e"]), ["a/b.png", "c d.é.png", "e.png"]);
        assert_eq!(of(&["x.jpg", "X.png", "y/x.png"]), ["x.jpg.png", "X.png.png", "y/x.png"]);
        assert_eq!(of(&["p?.png", "p?.png"]).len(), 2);
        assert_ne!(of(&["p?.png", "p?.png"])[0], of(&["p?.png", "p?.png"])[1]);
        assert_eq!(of(&["../../x.png", "/etc/y", ".."]), ["x.png", "etc/y.png", "000002.png"]);
        assert_eq!(targets(None, 2), ["000000.png", "000001.png"].map(PathBuf::from));
    }

    #[test]
    fn names_survive_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("names.txt");
        assert_eq!(read(&path, 2).unwrap(), None);
        write(&path, &names(&["ä 1.png", "b\n2.png"])).unwrap();
        assert_eq!(read(&path, 2).unwrap(), Some(names(&["ä 1.png", "b\u{fffd}2.png"])));
        let error = read(&path, 3).unwrap_err().to_string();
        assert!(
            error.ends_with("names.txt: holds 2 names for 3 observations; restore it, or delete it to go by numbers")
        );
    }
}
