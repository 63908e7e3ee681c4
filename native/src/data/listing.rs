//! Lists the files of a folder and of its subfolders, and tells what is left out of it.

use super::picture::{EXTENSIONS, KNOWN};
use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// Maximum number of files of one kind that are listed by name.
const NAMED: usize = 5;

/// Lists all pictures below `dir` by their extensions, sorted by name. What is left out is printed once.
pub fn pictures(dir: &Path) -> Result<Vec<PathBuf>> {
    ensure!(dir.is_dir(), "data.path: {} is not a folder; expected one with pictures", dir.display());
    let listing = Listing::below(dir, &EXTENSIONS)?;
    if listing.files.is_empty() {
        let others = listing.left_out(dir).map_or("it is empty".into(), |names| format!("it has only {names}"));
        bail!("data.path: {} has no picture; expected {KNOWN} files, and {others}", dir.display());
    }
    if let Some(names) = listing.left_out(dir) {
        let (all, out) = (listing.files.len() + listing.count(), listing.count());
        eprintln!(
            "warning: left out {out} of the {all} files in {}: {names}; pictures are {KNOWN} files",
            dir.display()
        );
    }
    Ok(listing.files)
}

/// Name of a file below `dir`: its path from there, with `/` between the folders.
pub fn name_below(dir: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(dir).unwrap_or(path).components();
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Returns the `files` that pass `check`. The others are printed with the reason.
///
/// # Errors
/// If no file passes.
pub fn usable(dir: &Path, files: Vec<PathBuf>, check: &(dyn Fn(&Path) -> Result<()> + Sync)) -> Result<Vec<PathBuf>> {
    let errors: Vec<Option<anyhow::Error>> = files.par_iter().map(|path| check(path).err()).collect();
    let broken: Vec<String> = errors.iter().flatten().map(|e| format!("{e:#}")).collect();
    if !broken.is_empty() {
        eprintln!("left out {} of {} pictures that cannot be used:", broken.len(), files.len());
        broken.iter().take(NAMED).for_each(|error| eprintln!("  {error}"));
        if broken.len() > NAMED {
            eprintln!("  and {} more", broken.len() - NAMED);
        }
    }
    let passed = files.into_iter().zip(errors).filter_map(|(path, error)| error.is_none().then_some(path));
    let passed: Vec<PathBuf> = passed.collect();
    ensure!(!passed.is_empty(), "data.path: none of the pictures in {} can be used", dir.display());
    Ok(passed)
}

/// Joins the first few of `names`, and counts the others.
pub fn some_of(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// The files below a folder, and what does not belong to them.
#[derive(Default)]
pub struct Listing {
    /// Files with one of the wanted extensions, sorted by name.
    pub files: Vec<PathBuf>,
    /// Files with other extensions.
    others: Vec<PathBuf>,
    /// Files and folders whose names begin with a dot.
    hidden: Vec<PathBuf>,
    /// Links to nothing, other than those that are called like pictures.
    dead: Vec<PathBuf>,
    /// Links to folders that are read anyway or that contain this one.
    again: Vec<PathBuf>,
}

impl Listing {
    /// Lists the files below `dir`. Linked folders are followed after the others, each folder once.
    pub fn below(dir: &Path, extensions: &[&str]) -> Result<Self> {
        let root = resolve(dir)?;
        let mut walk = Walk { extensions, read: BTreeSet::new(), links: VecDeque::new(), found: Self::default() };
        walk.folder(dir)?;
        while let Some(link) = walk.links.pop_front() {
            let target = resolve(&link)?;
            match root.starts_with(&target) || walk.read.contains(&target) {
                true => walk.found.again.push(link),
                false => walk.folder(&link)?,
            }
        }
        walk.found.files.sort();
        Ok(walk.found)
    }

    /// Number of files and links that are left out.
    fn count(&self) -> usize {
        self.others.len() + self.hidden.len() + self.dead.len() + self.again.len()
    }

    /// What is left out, in words; `None` if that is nothing.
    fn left_out(&self, dir: &Path) -> Option<String> {
        let kinds = [
            (&self.others, ""),
            (&self.hidden, " (hidden)"),
            (&self.dead, " (a link to nothing)"),
            (&self.again, " (a link to a folder that is read already or that contains this one)"),
        ];
        let words = kinds.iter().filter(|(paths, _)| !paths.is_empty()).map(|(paths, why)| {
            let names: Vec<String> = paths.iter().map(|path| name_below(dir, path)).collect();
            some_of(&names) + why
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

struct Walk<'a> {
    extensions: &'a [&'a str],
    /// Folders that were read, without links in their paths.
    read: BTreeSet<PathBuf>,
    /// Linked folders that are still to be read.
    links: VecDeque<PathBuf>,
    found: Listing,
}

impl Walk<'_> {
    fn folder(&mut self, dir: &Path) -> Result<()> {
        let failed = || format!("cannot list {}", dir.display());
        self.read.insert(resolve(dir)?);
        let entries = std::fs::read_dir(dir).with_context(failed)?;
        let mut entries = entries.collect::<std::io::Result<Vec<_>>>().with_context(failed)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().with_context(failed)?);
            if entry.file_name().to_string_lossy().starts_with('.') {
                self.found.hidden.push(path);
            } else if kind.is_symlink() && path.is_dir() {
                self.links.push_back(path);
            } else if kind.is_dir() {
                self.folder(&path)?;
            } else {
                self.file(path);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf) {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        match self.extensions.contains(&extension.as_str()) {
            true => self.found.files.push(path),
            false if !path.exists() => self.found.dead.push(path),
            false => self.found.others.push(path),
        }
    }
}

fn resolve(dir: &Path) -> Result<PathBuf> {
    dir.canonicalize().with_context(|| format!("cannot list {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::{TempDir, tempdir};

    fn folder(names: &[&str]) -> TempDir {
        let dir = tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    fn names(dir: &Path, files: &[PathBuf]) -> Vec<String> {
        files.iter().map(|path| name_below(dir, path)).collect()
    }

    #[test]
    fn what_is_left_out_is_named() {
        let dir = folder(&["b/c.PNG", "a.png", "d.gif", "e.txt", ".hidden.png"]);
        let listing = Listing::below(dir.path(), &EXTENSIONS).unwrap();
        assert_eq!(names(dir.path(), &listing.files), ["a.png", "b/c.PNG"]);
        assert_eq!(listing.left_out(dir.path()).unwrap(), "d.gif, e.txt; .hidden.png (hidden)");
        let many: Vec<String> = (0..7).map(|i| i.to_string()).collect();
        assert_eq!(some_of(&many), "0, 1, 2, 3, 4 and 2 more");
    }

    #[test]
    fn a_folder_without_pictures_is_an_error() {
        let dir = folder(&["a.gif"]);
        let error = pictures(dir.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("has no picture; expected .png, .jpg, .webp, .bmp or .tif files, and it has only a.gif")
        );
        let error = pictures(&dir.path().join("a.gif")).unwrap_err().to_string();
        assert!(error.ends_with("a.gif is not a folder; expected one with pictures"), "{error}");
        let error = pictures(tempdir().unwrap().path()).unwrap_err().to_string();
        assert!(error.ends_with("files, and it is empty"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_followed_once_and_never_in_a_circle() {
        let (dir, other) = (folder(&["a.png", "b/c.png"]), folder(&["d.png", "e/f.png"]));
        for (link, target) in [("a", dir.path().join("b")), ("back", dir.path().into()), ("more", other.path().into())]
        {
            std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
        }
        std::os::unix::fs::symlink(dir.path().parent().unwrap(), dir.path().join("up")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("train")).unwrap();
        let listing = Listing::below(dir.path(), &EXTENSIONS).unwrap();
        assert_eq!(names(dir.path(), &listing.files), ["a.png", "b/c.png", "more/d.png", "more/e/f.png"]);
        assert_eq!(names(dir.path(), &listing.again), ["a", "back", "up"]);
        assert_eq!(names(dir.path(), &listing.dead), ["train"]);
    }
}
