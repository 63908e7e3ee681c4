//! The bytes of a FITS file, as they are or compressed with gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::MultiGzDecoder;

/// The first bytes of what gzip compressed.
const SIGNATURE: [u8; 2] = [0x1f, 0x8b];

/// The bytes of a file, read from any place. Of a compressed file only a piece is in memory: going forward reads what lies
/// between, and going back begins anew.
pub struct Bytes {
    file: File,
    source: Source,
    at: u64,
}

enum Source {
    Plain(BufReader<File>),
    Packed(Box<BufReader<MultiGzDecoder<BufReader<File>>>>),
}

impl Bytes {
    /// Takes a file from its start; its first bytes tell whether it is compressed.
    pub fn new(mut file: File) -> io::Result<Self> {
        let mut first = Vec::new();
        file.rewind()?;
        Read::by_ref(&mut file).take(2).read_to_end(&mut first)?;
        let source = Source::new(&file, first == SIGNATURE)?;
        Ok(Self { file, source, at: 0 })
    }

    /// The number of bytes before the next one.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Whether no byte is left.
    pub fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(match &mut self.source {
            Source::Plain(plain) => plain.fill_buf()?.is_empty(),
            Source::Packed(packed) => packed.fill_buf()?.is_empty(),
        })
    }

    /// Goes to the byte `to`, or to the end of a shorter file; returns where it is then.
    pub fn go(&mut self, to: u64) -> io::Result<u64> {
        match &mut self.source {
            Source::Plain(plain) => {
                self.at = to.min(self.file.metadata()?.len());
                plain.seek(SeekFrom::Start(self.at))?;
            }
            Source::Packed(_) => {
                if to < self.at {
                    (self.source, self.at) = (Source::new(&self.file, true)?, 0);
                }
                let between = to - self.at;
                io::copy(&mut Read::by_ref(self).take(between), &mut io::sink())?;
            }
        }
        Ok(self.at)
    }
}

impl Source {
    fn new(file: &File, packed: bool) -> io::Result<Self> {
        let mut file = BufReader::new(file.try_clone()?);
        file.rewind()?;
        Ok(match packed {
            true => Self::Packed(Box::new(BufReader::new(MultiGzDecoder::new(file)))),
            false => Self::Plain(file),
        })
    }
}

impl Read for Bytes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.source {
            Source::Plain(plain) => plain.read(out)?,
            Source::Packed(packed) => packed.read(out)?,
        };
        self.at += count as u64;
        Ok(count)
    }
}
