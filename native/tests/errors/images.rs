//! Images that cannot be trained on.

use super::common::pictures;
use super::{empty, fails};
use snapbox::data::Inline;
use snapbox::str;
use std::path::Path;
use tempfile::TempDir;

/// [`empty`] with a mask as channel and `data` as data in `c.toml`.
fn with(data: &str) -> TempDir {
    let dir = empty();
    let path = dir.path().join("c.toml");
    let text = std::fs::read_to_string(&path).expect("a file");
    let (head, rest) = text.split_once("[data]").expect("data");
    let (_, rest) = rest.split_once("[em]").expect("em");
    let channel = "\n[[channel]]\nkind = \"mask\"\nrate = 0.5\n\n[em]";
    std::fs::write(path, [head, "[data]\n", data, channel, rest].concat()).expect("a file");
    dir
}

fn train_fails(dir: &TempDir, message: Inline) {
    fails(dir, &["train", "c.toml", "--out", "new"], message);
}

/// Truncates `data/NAME` to its first `length` bytes.
fn cut(dir: &Path, name: &str, length: usize) {
    let path = dir.join("data").join(name);
    let bytes = std::fs::read(&path).expect("a file");
    std::fs::write(path, &bytes[..length]).expect("a file");
}

const IDX: &str = "kind = \"idx\"\npath = \"data\"\nheight = 4\nwidth = 4\ntest = 2\n";
const FOLDER: &str = "kind = \"images\"\npath = \"data\"\nchannels = 1\nheight = 4\nwidth = 4\ntest = 0\n";
const MASKED: &str = "kind = \"masked-images\"\npath = \"data\"\nchannels = 1\nheight = 4\nwidth = 4\n";

fn idx() -> TempDir {
    let dir = with(IDX);
    pictures::idx(&dir.path().join("data"), "train-images-idx3-ubyte", 6, 4);
    pictures::idx(&dir.path().join("data"), "t10k-images-idx3-ubyte", 3, 4);
    dir
}

#[test]
fn idx_files_that_are_not_there() {
    let dir = with(IDX);
    train_fails(
        &dir,
        str![[r#"
error: data.path: data does not exist; set data.path to an IDX file, or to a directory with train-images-idx3-ubyte and t10k-images-idx3-ubyte

"#]],
    );
    pictures::idx(&dir.path().join("data"), "train-images-idx3-ubyte.gz", 6, 4);
    train_fails(
        &dir,
        str![[r#"
error: data.path: data has no t10k-images-idx3-ubyte or ….gz; without test images set data.test = 0

"#]],
    );
}

#[test]
fn idx_files_that_are_damaged() {
    let dir = idx();
    cut(dir.path(), "train-images-idx3-ubyte", 16 + 2 * 16 + 5);
    train_fails(
        &dir,
        str![[r#"
error: data/train-images-idx3-ubyte: image 2 of 6 has 5 of 16 bytes: the file is damaged or cut short; copy it again

"#]],
    );
    std::fs::write(dir.path().join("data/train-images-idx3-ubyte"), b"not an IDX file").expect("a file");
    train_fails(
        &dir,
        str![[r#"
error: data/train-images-idx3-ubyte: not an IDX file of images: it begins with 6e6f7420, expected 00000803

"#]],
    );
}

/// A header claims more images than memory could list: nothing is allocated, no directory is left.
#[test]
fn idx_files_that_claim_billions_of_images() {
    let dir = idx();
    let head = [0x0803, u32::MAX, 4, 4].map(u32::to_be_bytes).concat();
    std::fs::write(dir.path().join("data/train-images-idx3-ubyte"), [head, vec![0; 100]].concat()).expect("a file");
    for more in [&["--out", "new"][..], &["--dry-run"], &["--dry-run", "--set", "data.n=4"]] {
        fails(
            &dir,
            &[&["train", "c.toml"], more].concat(),
            str![[r#"
error: data/train-images-idx3-ubyte: image 6 of 4294967295 has 4 of 16 bytes: the file is damaged or cut short; copy it again

"#]],
        );
    }
}

#[test]
fn numbers_of_images_that_are_not_there() {
    let dir = idx();
    let set = |setting: &str, message| fails(&dir, &["train", "c.toml", "--out", "new", "--set", setting], message);
    set(
        "data.n=7",
        str![[r#"
error: data.n: expected at most 6 (the 6 images of data/train-images-idx3-ubyte), found 7

"#]],
    );
    set(
        "data.test=4",
        str![[r#"
error: data.test: expected at most the 3 images of data/t10k-images-idx3-ubyte, found 4

"#]],
    );
    set(
        "data.n=1",
        str![[r#"
error: c.toml with --set data.n=1: data.n: expected 0 (all) or 2 or more images, found 1

"#]],
    );
    set(
        "data.height=5",
        str![[r#"
error: data/t10k-images-idx3-ubyte: the images have 4 rows and 4 columns, and the configuration says 5 and 4; set data.height = 4 and data.width = 4

"#]],
    );
    set(
        "data.width=0",
        str![[r#"
error: c.toml with --set data.width=0: data.width: expected 1 to 4096 pixels, found 0

"#]],
    );
}

#[test]
fn batches_that_are_not_there_or_cut_short() {
    let dir = with("kind = \"cifar10\"\npath = \"data\"\n");
    train_fails(
        &dir,
        str![[r#"
error: data.path: data is not a directory; expected one with data_batch_1.bin to data_batch_5.bin and test_batch.bin, which cifar-10-binary.tar.gz unpacks to

"#]],
    );
    std::fs::create_dir(dir.path().join("data")).expect("a directory");
    train_fails(
        &dir,
        str![[r#"
error: data.path: data has neither data_batch_1.bin nor a folder cifar-10-batches-bin with it; it has nothing; unpack cifar-10-binary.tar.gz there

"#]],
    );
    std::fs::write(dir.path().join("data/test_batch.bin"), vec![0; 3 * 3073 - 1]).expect("a file");
    train_fails(
        &dir,
        str![[r#"
error: data/test_batch.bin: record 2 has 3072 of 3073 bytes: the file of 9218 bytes is damaged or cut short; copy it again

"#]],
    );
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_that_this_build_lacks() {
    let dir = with("kind = \"cifar10\"\npath = \"data\"\n");
    std::fs::create_dir_all(dir.path().join("data/plain_text")).expect("a directory");
    std::fs::write(dir.path().join("data/plain_text/train-00000-of-00001.parquet"), "").expect("a file");
    train_fails(
        &dir,
        str![[r#"
error: data.path: data has no test-….parquet; copy it there, or set data.test = 0

"#]],
    );
    fails(
        &dir,
        &["train", "c.toml", "--out", "new", "--set", "data.test=0"],
        str![[r#"
error: data/plain_text/train-00000-of-00001.parquet: this build cannot read Parquet; build it with `cargo build --release --features parquet`, or use the binary batches

"#]],
    );
}

#[test]
fn folders_without_whole_pictures() {
    let dir = with(FOLDER);
    train_fails(
        &dir,
        str![[r#"
error: data.path: data is not a folder; expected one with pictures

"#]],
    );
    for name in ["a.png", "b.png", "c.png"] {
        pictures::masked(&dir.path().join("data"), name, 8, 8, 100);
    }
    std::fs::write(dir.path().join("data/b.png"), "not a picture").expect("a file");
    train_fails(
        &dir,
        str![[r#"
error: data/b.png: not a picture: it begins like no known format; expected PNG, JPEG, WebP, BMP or TIFF; replace it, or set data.skip_broken = true to leave such files out

"#]],
    );
    fails(
        &dir,
        &["train", "c.toml", "--out", "new", "--set", "data.test=2", "--set", "data.skip_broken=true"],
        str![[r#"
left out 1 of 3 pictures that cannot be used:
  data/b.png: not a picture: it begins like no known format; expected PNG, JPEG, WebP, BMP or TIFF
error: data: expected 2 or more images to observe, found 2 less data.test = 2

"#]],
    );
}

/// A PNG file of 1 kB whose header claims 160 GB of pixels, in both kinds of folders.
#[test]
fn pictures_that_claim_more_than_they_hold() {
    for data in [FOLDER, MASKED] {
        let dir = with(data);
        for name in ["a.png", "b.png", "c.png"] {
            pictures::masked(&dir.path().join("data"), name, 4, 4, 100);
        }
        pictures::claim(&dir.path().join("data/b.png"), 200_000);
        let message = "data/b.png: claims 200000 x 200000 pixels; expected at most 268435456 in all (16384 x 16384); make \
                       it smaller";
        let output = super::diffem(dir.path(), &["train", "c.toml", "--out", "new"]).output().expect("it starts");
        let advice = "replace it, or set data.skip_broken = true to leave such files out";
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("error: {message}; {advice}\n"));
        assert!(output.status.code() == Some(2) && !dir.path().join("new").exists());
        let left_out = ["train", "c.toml", "--dry-run", "--set", "data.skip_broken=true"];
        let output = super::diffem(dir.path(), &left_out).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = format!("left out 1 of 3 pictures that cannot be used:\n  {message}\n");
        assert!(output.status.success() && said == expected, "{said}");
    }
}

#[test]
fn folders_with_other_files() {
    let dir = with(FOLDER);
    for name in ["a.png", "sub/b.png", ".c.png", "d.gif"] {
        let path = dir.path().join("data").join(name);
        pictures::masked(path.parent().expect("a folder"), "x.png", 4, 4, 100);
        std::fs::rename(path.with_file_name("x.png"), path).expect("a file");
    }
    fails(
        &dir,
        &["train", "c.toml", "--out", "new", "--set", "data.test=1"],
        str![[r#"
warning: left out 2 of the 4 files in data: d.gif; .c.png (hidden); pictures are .png, .jpg, .webp, .bmp or .tif files
error: data: expected 2 or more images to observe, found 2 less data.test = 1

"#]],
    );
}

#[test]
fn pictures_too_small_for_the_crop() {
    let dir = with(FOLDER);
    pictures::masked(&dir.path().join("data"), "a.png", 8, 6, 100);
    pictures::masked(&dir.path().join("data"), "b.png", 8, 8, 100);
    fails(
        &dir,
        &["train", "c.toml", "--out", "new", "--set", "data.crop=7"],
        str![[r#"
error: data/a.png: is 8 x 6 pixels; expected at least data.crop = 7 both ways; replace it, or set data.skip_broken = true to leave such files out

"#]],
    );
}

#[test]
fn masked_pictures_of_other_sizes() {
    let dir = with(MASKED);
    pictures::masked(&dir.path().join("data"), "a.png", 4, 4, 100);
    pictures::masked(&dir.path().join("data"), "b.png", 8, 6, 100);
    train_fails(
        &dir,
        str![[r#"
error: data/b.png: is 8 x 6 pixels and the configuration says 4 x 4; 1 of 2 pictures differ; bring all to one size, or set data.resize = true to crop and resize them

"#]],
    );
}

#[test]
fn masked_pictures_with_another_channel() {
    let dir = with(MASKED);
    pictures::masked(&dir.path().join("data"), "a.png", 4, 4, 100);
    fails(
        &dir,
        &["train", "c.toml", "--out", "new", "--set", "channel=[{ kind = \"projection\", rows = 2 }]"],
        str![[r#"
error: channel: it has observations of length 2 with operators of length 32, and pictures of 1 x 4 x 4 have 16 and 16; masked-images expects a mask of pixels, after the noise where there is noise

"#]],
    );
    train_fails(
        &dir,
        str![[r#"
error: data.path: expected 2 or more pictures to train on, found 1

"#]],
    );
}

#[test]
fn more_signals_than_memory_holds() {
    let huge = "kind = \"manifold\"\nn = 1073741824\nd = 4096\nalpha = 2.0\n";
    let dir = with(huge);
    let output = super::diffem(dir.path(), &["train", "c.toml", "--out", "new"]).output().expect("the command starts");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let start = "error: data.n: 1073741824 signals with their observations need about 87.96 TB of memory and ";
    assert!(stderr.starts_with(start) && stderr.contains(" are free; lower it to at most "), "{stderr}");
    assert!(!dir.path().join("new").exists());
}

#[test]
fn shapes_that_contradict_the_signal() {
    let dir = empty();
    let shape = "data.shape={ channels = 1, height = 2, width = 2 }";
    fails(
        &dir,
        &["train", "c.toml", "--out", "new", "--set", shape],
        str![[r#"
error: c.toml with --set data.shape={ channels = 1, height = 2, width = 2 }: data.signal: expected channels x height x width of data.shape = 4, found 2; leave it out

"#]],
    );
}

#[test]
fn folders_to_corrupt_that_nothing_describes() {
    let dir = empty();
    std::fs::create_dir(dir.path().join("data")).expect("a directory");
    fails(
        &dir,
        &["corrupt", "data", "--channel", "[{ kind = \"mask\", rate = 0.5 }]"],
        str![[r#"
error: data: is a directory; say what images it holds with --config FILE, where data.kind is "idx", "cifar10" or "images"

"#]],
    );
}
