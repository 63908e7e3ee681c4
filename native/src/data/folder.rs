//! A folder of pictures (PNG, JPEG), read recursively in the order of the names.

use super::image_set::{ImageSet, scaled};
use super::picture::{Fit, decode};
use anyhow::{Context, Result, anyhow, bail, ensure};
use diffem::Samples;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Names printed of the files that are left out.
const NAMED: usize = 5;

/// Pictures and how each becomes an image of one size.
pub struct Folder {
    dir: PathBuf,
    files: Vec<PathBuf>,
    fit: Fit,
}

impl Folder {
    /// The pictures below `dir`. With `skip_broken` all are decoded once to leave out, and to name, those that cannot be.
    pub fn open(dir: &Path, fit: Fit, skip_broken: bool) -> Result<Self> {
        let mut files = list(dir, &["png", "jpg", "jpeg"])?;
        if skip_broken {
            files = whole(files, &fit)?;
            ensure!(!files.is_empty(), "data.path: none of the pictures in {} can be used", dir.display());
        }
        Ok(Self { dir: dir.to_path_buf(), files, fit })
    }
}

/// Those of `files` that can be used; the others are printed.
fn whole(files: Vec<PathBuf>, fit: &Fit) -> Result<Vec<PathBuf>> {
    let errors: Vec<Option<anyhow::Error>> = files.par_iter().map(|path| pixels(path, fit).err()).collect();
    let broken: Vec<String> = errors.iter().flatten().map(|e| format!("{e:#}")).collect();
    if !broken.is_empty() {
        eprintln!("left out {} of {} pictures that cannot be used:", broken.len(), files.len());
        broken.iter().take(NAMED).for_each(|error| eprintln!("  {error}"));
        if broken.len() > NAMED {
            eprintln!("  and {} more", broken.len() - NAMED);
        }
    }
    Ok(files.into_iter().zip(errors).filter_map(|(path, error)| error.is_none().then_some(path)).collect())
}

fn pixels(path: &Path, fit: &Fit) -> Result<Vec<u8>> {
    decode(path).and_then(|picture| fit.pixels(picture)).with_context(|| path.display().to_string())
}

impl ImageSet for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn origin(&self) -> String {
        self.dir.display().to_string()
    }

    fn read(&self, places: &[usize]) -> Result<Samples> {
        let d = self.fit.shape.len();
        let mut values = vec![0.0f32; places.len() * d];
        let rows = values.par_chunks_mut(d).zip(places);
        let read: Vec<Result<()>> = rows
            .map(|(row, place)| {
                let pixels = pixels(&self.files[*place], &self.fit).map_err(|e| {
                    anyhow!("{e:#}; replace it, or set data.skip_broken = true to leave such files out")
                })?;
                row.iter_mut().zip(pixels).for_each(|(value, pixel)| *value = scaled(pixel));
                Ok(())
            })
            .collect();
        // The first in the order of the rows, whichever thread came first.
        read.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(Samples::new(values, d))
    }
}

/// All files below `dir` with one of these extensions, sorted by name; hidden ones are left out.
pub fn list(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    ensure!(dir.is_dir(), "data.path: {} is not a folder; expected one with pictures", dir.display());
    let (found, others) = below(dir, extensions)?;
    if found.is_empty() {
        let wanted = extensions.join(", .");
        bail!("data.path: {} has no .{wanted} file; it has {others} other files", dir.display());
    }
    Ok(found)
}

/// All files below `dir` with one of these extensions, sorted by name, and the number of other files.
pub fn below(dir: &Path, extensions: &[&str]) -> Result<(Vec<PathBuf>, usize)> {
    let (mut found, mut others) = (Vec::new(), 0);
    collect(dir, extensions, &mut found, &mut others)?;
    found.sort();
    Ok((found, others))
}

fn collect(dir: &Path, extensions: &[&str], found: &mut Vec<PathBuf>, others: &mut usize) -> Result<()> {
    let failed = || format!("cannot list {}", dir.display());
    for entry in std::fs::read_dir(dir).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a directory is not followed: it could lead in a circle.
        if entry.file_type().with_context(failed)?.is_dir() {
            collect(&path, extensions, found, others)?;
            continue;
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        match extensions.contains(&extension.as_str()) {
            true => found.push(path),
            false => *others += 1,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffem::image::ImageShape;
    use image::{Rgb, RgbImage};
    use tempfile::{TempDir, tempdir};

    const FIT: Fit = Fit { shape: ImageShape { channels: 3, height: 2, width: 2 }, crop: None, background: 255 };

    /// a.png, b/c.JPG (half of it missing), d.png: one color each.
    fn folder() -> TempDir {
        let dir = tempdir().unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        for (name, level) in [("d.png", 200), ("a.png", 51), ("b/c.jpg", 0), (".e.png", 9)] {
            RgbImage::from_pixel(32, 32, Rgb([level, 0, 255])).save(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("notes.txt"), "").unwrap();
        let jpeg = std::fs::read(dir.path().join("b/c.jpg")).unwrap();
        std::fs::write(dir.path().join("b/c.JPG"), &jpeg[..40]).unwrap();
        std::fs::remove_file(dir.path().join("b/c.jpg")).unwrap();
        dir
    }

    #[test]
    fn pictures_are_sorted_and_broken_ones_named_or_left_out() {
        let dir = folder();
        let set = Folder::open(dir.path(), FIT, false).unwrap();
        assert_eq!(set.len(), 3);
        let x = set.read(&[2, 0]).unwrap();
        assert_eq!((x.row(0)[0], x.row(1)[0], x.row(1)[4], x.row(1)[8]), (scaled(200), -1.2, -2.0, 2.0));
        let error = format!("{:#}", set.read(&[0, 1]).unwrap_err());
        assert!(error.contains("/b/c.JPG: not a whole picture: "), "{error}");
        assert!(error.ends_with("; replace it, or set data.skip_broken = true to leave such files out"), "{error}");
        let set = Folder::open(dir.path(), FIT, true).unwrap();
        assert_eq!((set.len(), set.read(&[1]).unwrap().row(0)[0]), (2, scaled(200)));
    }

    #[test]
    fn a_folder_without_pictures_is_an_error() {
        let dir = tempdir().unwrap();
        std::fs::write(dir.path().join("a.tiff"), "").unwrap();
        let error = list(dir.path(), &["png", "jpg"]).unwrap_err().to_string();
        assert!(error.ends_with("has no .png, .jpg file; it has 1 other files"), "{error}");
        let error = list(&dir.path().join("a.tiff"), &["png"]).unwrap_err().to_string();
        assert!(error.ends_with("a.tiff is not a folder; expected one with pictures"), "{error}");
    }
}
