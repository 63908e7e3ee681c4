//! Writes FITS files of 32-bit floats: the first tensor is the primary array, the others are image extensions.

use anyhow::{Result, ensure};

use super::header::{BLOCK, CARD};
use crate::data::tensor::{Metadata, Tensor};

/// Longest name that one card can hold.
const MAX_NAME: usize = 60;

/// Returns the bytes of a file with `tensors`, whose names are their EXTNAME, and `metadata` as comments.
pub fn encode(tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (number, (name, tensor)) in tensors.iter().enumerate() {
        ensure!(
            name.len() <= MAX_NAME
                && name.bytes().all(|c| c.is_ascii_graphic() && !c.is_ascii_uppercase() && c != b'\''),
            "tensor `{name}`: expected a name of at most {MAX_NAME} small ASCII letters and digits for a FITS file"
        );
        ensure!(!tensor.values.is_empty() && !tensor.shape.is_empty(), "tensor `{name}` holds no array");
        let kind = match number {
            0 => card("SIMPLE", "T"),
            _ => text_card("XTENSION", "IMAGE   "),
        };
        let mut cards = vec![kind, card("BITPIX", "-32"), card("NAXIS", &tensor.shape.len().to_string())];
        let axes = tensor.shape.iter().rev().enumerate();
        cards.extend(axes.map(|(i, n)| card(&format!("NAXIS{}", i + 1), &n.to_string())));
        match number {
            0 => cards.push(card("EXTEND", "T")),
            _ => cards.extend([card("PCOUNT", "0"), card("GCOUNT", "1")]),
        }
        cards.push(text_card("EXTNAME", name));
        if number == 0 {
            cards.extend(metadata.iter().flat_map(|(key, value)| comments(&format!("{key} = {value}"))));
        }
        cards.push("END".into());
        bytes.extend(cards.iter().flat_map(|card| format!("{card:<width$}", width = CARD).into_bytes()));
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        bytes.extend(tensor.values.iter().flat_map(|value| value.to_be_bytes()));
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    Ok(bytes)
}

fn card(key: &str, value: &str) -> String {
    format!("{key:<8}= {value:>20}")
}

fn text_card(key: &str, value: &str) -> String {
    format!("{key:<8}= '{value:<8}'")
}

/// Cards with a text of any length, whose characters beyond ASCII are left out.
fn comments(text: &str) -> Vec<String> {
    let plain: Vec<u8> = text.bytes().filter(|c| (b' '..=b'~').contains(c)).collect();
    plain.chunks(CARD - 8).map(|part| format!("COMMENT {}", String::from_utf8_lossy(part))).collect()
}
