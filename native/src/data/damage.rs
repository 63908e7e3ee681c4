//! Damage to files, as a disk or a hostile author does it.

use proptest::prelude::*;
use proptest::sample::Index;

/// A few changed bytes, and bytes that are cut off or appended.
#[derive(Clone, Debug)]
pub struct Damage {
    bytes: Vec<(Index, u8)>,
    /// Four bytes that replace those at a place, as a length in a header.
    word: Option<(Index, [u8; 4])>,
    cut: Option<Index>,
    more: Vec<u8>,
}

impl Damage {
    /// The bytes of `whole`, damaged.
    pub fn done_to(&self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        if whole.is_empty() {
            return self.more.clone();
        }
        self.bytes.iter().for_each(|(at, byte)| bytes[at.index(whole.len())] = *byte);
        if let Some((at, word)) = &self.word
            && whole.len() > 4
        {
            let at = at.index(whole.len() - 4);
            bytes[at..at + 4].copy_from_slice(word);
        }
        bytes.truncate(self.cut.map_or(whole.len(), |at| at.index(whole.len())));
        bytes.extend(&self.more);
        bytes
    }
}

/// Any damage.
pub fn damage() -> impl Strategy<Value = Damage> {
    let bytes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..6);
    let word = prop::option::of((any::<Index>(), any::<[u8; 4]>()));
    let cut = prop::option::weighted(0.2, any::<Index>());
    let more = prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(any::<u8>(), 0..40)];
    (bytes, word, cut, more).prop_map(|(bytes, word, cut, more)| Damage { bytes, word, cut, more })
}
