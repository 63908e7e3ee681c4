//! Headers of FITS units: cards of 80 characters, `KEYWORD = value / comment`, up to the card END.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

use crate::data::dtype::Dtype;
use crate::data::tensor::product;
use crate::data::values::DAMAGED;

/// Bytes in a block.
pub const BLOCK: usize = 2880;
/// Bytes in a card.
pub const CARD: usize = 80;
/// Most axes of an array, as the standard says.
const MAX_AXES: usize = 999;

/// What a header says of its unit.
pub struct Unit {
    /// Value of EXTNAME in small letters.
    pub name: Option<String>,
    /// Type of the stored numbers.
    pub dtype: Dtype,
    /// Axes from the slowest to the fastest, the reverse of NAXISn.
    pub shape: Vec<usize>,
    /// The physical value is `zero` + `factor` x the stored one.
    pub factor: f64,
    pub zero: f64,
    /// Stored value of integers that stands for a missing one.
    pub blank: Option<i64>,
    /// Whether a table holds the array in compressed tiles.
    pub compressed: bool,
    /// Whether the unit is an image and no table.
    image: bool,
    /// Bytes after the array, of a table's long rows.
    heap: usize,
}

/// The cards of a header that matter here.
#[derive(Default)]
struct Cards {
    found: Vec<(String, String)>,
}

impl Unit {
    /// Reads a header from its first card to the end of its last block. The first one of a file is the primary
    /// header.
    pub fn read(file: &mut impl Read, first: bool) -> Result<Self> {
        let cards = Cards::read(file, if first { "SIMPLE" } else { "XTENSION" })?;
        let kind = cards.text("XTENSION").unwrap_or_else(|| "IMAGE".into());
        let is_image = matches!(&*kind, "IMAGE" | "IUEIMAGE");
        ensure!(
            !cards.is_true("GROUPS"),
            "has random groups (GROUPS = T), which are not read; expected images. Save the visibilities as an image \
             extension, with the real and imaginary parts as values of their own"
        );
        ensure!(
            cards.integer("GCOUNT")?.unwrap_or(1) == 1,
            "has GCOUNT = {}; expected 1",
            cards.text("GCOUNT").unwrap_or_default()
        );
        let heap = cards.integer("PCOUNT")?.unwrap_or(0);
        let number = |key: &str, otherwise: f64| Ok::<_, anyhow::Error>(cards.number(key)?.unwrap_or(otherwise));
        Ok(Self {
            name: cards.text("EXTNAME").map(|name| name.to_lowercase()).filter(|name| !name.is_empty()),
            dtype: dtype(cards.integer("BITPIX")?.context("has no BITPIX")?)?,
            shape: shape(&cards)?,
            factor: number("BSCALE", 1.0)?,
            zero: number("BZERO", 0.0)?,
            blank: cards.integer("BLANK")?,
            compressed: cards.is_true("ZIMAGE"),
            image: is_image,
            heap: usize::try_from(heap).with_context(|| format!("has PCOUNT = {heap}; expected 0 or more"))?,
        })
    }

    /// Whether the unit holds an array of numbers.
    pub fn is_array(&self) -> bool {
        self.compressed || self.image && !self.shape.is_empty()
    }

    /// Bytes of the data without padding; `None` if no file can hold them.
    pub fn data_len(&self) -> Result<Option<u64>> {
        let count = if self.shape.is_empty() { Some(0) } else { product(&self.shape) };
        let bytes = count.and_then(|n| n.checked_add(self.heap)).and_then(|n| n.checked_mul(self.dtype.size()));
        Ok(bytes.map(|bytes| bytes as u64))
    }

    /// The data that the header promises, in words.
    pub fn promise(&self) -> String {
        format!("an array of shape {:?} with {} bytes per value", self.shape, self.dtype.size())
    }
}

fn dtype(bits: i64) -> Result<Dtype> {
    Ok(match bits {
        8 => Dtype::U8,
        16 => Dtype::I16,
        32 => Dtype::I32,
        64 => Dtype::I64,
        -32 => Dtype::F32,
        -64 => Dtype::F64,
        _ => bail!("has BITPIX = {bits}; expected 8, 16, 32, 64, -32 or -64: {DAMAGED}"),
    })
}

fn shape(cards: &Cards) -> Result<Vec<usize>> {
    let axes = cards.integer("NAXIS")?.context("has no NAXIS")?;
    let count = usize::try_from(axes).ok().filter(|n| *n <= MAX_AXES);
    let count = count.with_context(|| format!("has NAXIS = {axes}; expected 0 to {MAX_AXES}: {DAMAGED}"))?;
    let axis = |i: usize| {
        let key = format!("NAXIS{i}");
        let found = cards.integer(&key)?.with_context(|| format!("has no {key}, and NAXIS = {count}: {DAMAGED}"))?;
        usize::try_from(found).with_context(|| format!("has {key} = {found}; expected 0 or more: {DAMAGED}"))
    };
    (1..=count).rev().map(axis).collect()
}

impl Cards {
    /// Reads blocks up to the one with the card END; the first card must have the keyword `first`.
    fn read(file: &mut impl Read, first: &str) -> Result<Self> {
        let (mut cards, mut block) = (Self::default(), [0; BLOCK]);
        for number in 0.. {
            let whole = file.read_exact(&mut block).is_ok();
            let begins = number > 0 || block.starts_with(format!("{first:<8}=").as_bytes());
            ensure!(begins, "it does not begin with `{first:<8}=`; expected a FITS file. {DAMAGED}");
            ensure!(whole, "it ends before the card END: {DAMAGED}");
            for card in block.as_chunks::<CARD>().0 {
                if card[..8] == *b"END     " {
                    return Ok(cards);
                }
                cards.keep(card);
            }
        }
        bail!("it has no card END: {DAMAGED}")
    }

    /// Keeps a card if its keyword matters, so that a long header takes no memory.
    fn keep(&mut self, card: &[u8; CARD]) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
        let key = text(&card[..8]);
        let matters = matches!(
            &*key,
            "XTENSION"
                | "BITPIX"
                | "NAXIS"
                | "PCOUNT"
                | "GCOUNT"
                | "GROUPS"
                | "EXTNAME"
                | "BSCALE"
                | "BZERO"
                | "BLANK"
                | "ZIMAGE"
        );
        let axis = key.strip_prefix("NAXIS").and_then(|i| i.parse::<usize>().ok());
        if card[8] == b'=' && (matters || axis.is_some_and(|i| i <= MAX_AXES)) && self.text(&key).is_none() {
            self.found.push((key, text(&card[9..])));
        }
    }

    /// The value of `key` as text, without quotes and comment.
    fn text(&self, key: &str) -> Option<String> {
        let (_, value) = self.found.iter().find(|(other, _)| other == key)?;
        let Some(quoted) = value.strip_prefix('\'') else {
            return Some(value.split('/').next().unwrap_or_default().trim().to_string());
        };
        // Two quotes in a text stand for one.
        let parts: Vec<&str> = quoted.split("''").collect();
        let end = parts.iter().position(|part| part.contains('\'')).unwrap_or(parts.len() - 1);
        let last = parts[end].split('\'').next().unwrap_or_default();
        Some([&parts[..end], &[last]].concat().join("'").trim_end().to_string())
    }

    fn is_true(&self, key: &str) -> bool {
        self.text(key).is_some_and(|value| value == "T")
    }

    fn integer(&self, key: &str) -> Result<Option<i64>> {
        let parse = |text: String| text.parse().with_context(|| format!("has {key} = {text}; expected an integer"));
        self.text(key).map(parse).transpose()
    }

    /// The number that `key` has; the exponent may be written with a D.
    fn number(&self, key: &str) -> Result<Option<f64>> {
        let parse = |text: String| {
            let number = text.replace(['D', 'd'], "E").parse().ok().filter(|number: &f64| number.is_finite());
            number.with_context(|| format!("has {key} = {text}; expected a number"))
        };
        self.text(key).map(parse).transpose()
    }
}
