//! Writes scalars as an event file for TensorBoard.
//!
//! A file is a sequence of TFRecords, `length: u64, crc(length): u32, payload, crc(payload): u32`, little
//! endian, with the masked CRC-32C of TensorFlow (`tsl/lib/io/record_writer.cc`). A payload is a protobuf
//! `Event` (`tensorflow/core/util/event.proto`):
//!
//!     Event          1 wall_time: double   2 step: int64   3 file_version: string   5 summary: Summary
//!     Summary        1 value: repeated Summary.Value
//!     Summary.Value  1 tag: string         2 simple_value: float
//!
//! The format is written by hand because the crates for it do not fit: `tboard` runs `protoc` at build time,
//! and `tensorboard-rs` depends on old versions of `image` and `protobuf`. Neither takes the wall time from
//! its caller, without which a file cannot be rebuilt from the log.

use std::path::Path;

use anyhow::Result;

use crate::files::write_atomic;

/// One value of a curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Name of the curve; a `/` groups curves, as in `m-step/loss`.
    pub tag: String,
    /// Position along the curve.
    pub step: i64,
    /// Time of recording, in seconds since 1970-01-01 UTC.
    pub wall_time: f64,
    /// The value; NaN and infinities are kept, and TensorBoard marks them.
    pub value: f32,
}

/// Name of the event file of a run that began `seconds` after 1970-01-01 UTC. TensorBoard accepts any name
/// that contains `tfevents` and reads several files in the order of their names, hence the fixed width.
pub fn file_name(seconds: u64) -> String {
    format!("events.out.tfevents.{seconds:010}.diffem")
}

/// Writes all `records` as the event file `path` and replaces an existing file as a whole. The bytes depend
/// only on the records, so the file can be rebuilt from a log at any time.
///
/// # Errors
/// If the file cannot be written; the message names it.
pub fn write_events(path: &Path, records: impl IntoIterator<Item = Scalar>) -> Result<()> {
    write_atomic(path, &events(records))
}

fn events(records: impl IntoIterator<Item = Scalar>) -> Vec<u8> {
    let mut records = records.into_iter().peekable();
    let began = records.peek().map_or(0.0, |first| first.wall_time);
    let mut file = Vec::new();
    push_record(&mut file, &version_event(began));
    for record in records {
        push_record(&mut file, &scalar_event(&record));
    }
    file
}

/// The event that every file starts with.
fn version_event(wall_time: f64) -> Vec<u8> {
    let mut event = Vec::new();
    push_double(&mut event, 1, wall_time);
    push_bytes(&mut event, 3, b"brain.Event:2");
    event
}

fn scalar_event(scalar: &Scalar) -> Vec<u8> {
    let (mut value, mut summary, mut event) = (Vec::new(), Vec::new(), Vec::new());
    push_bytes(&mut value, 1, scalar.tag.as_bytes());
    push_float(&mut value, 2, scalar.value);
    push_bytes(&mut summary, 1, &value);
    push_double(&mut event, 1, scalar.wall_time);
    push_int(&mut event, 2, scalar.step);
    push_bytes(&mut event, 5, &summary);
    event
}

fn push_record(file: &mut Vec<u8>, payload: &[u8]) {
    let length = (payload.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked_crc(&length).to_le_bytes());
    file.extend(payload);
    file.extend(masked_crc(payload).to_le_bytes());
}

/// The CRC of data that contains CRCs is weak, so TensorFlow stores it rotated and shifted.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Wire types of protobuf, which say where the bytes of a field end.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_FIRST: u64 = 2;
const FOUR_BYTES: u64 = 5;

fn push_key(out: &mut Vec<u8>, field: u64, wire: u64) {
    push_varint(out, field << 3 | wire);
}

fn push_double(out: &mut Vec<u8>, field: u64, value: f64) {
    push_key(out, field, EIGHT_BYTES);
    out.extend(value.to_le_bytes());
}

fn push_float(out: &mut Vec<u8>, field: u64, value: f32) {
    push_key(out, field, FOUR_BYTES);
    out.extend(value.to_le_bytes());
}

/// Writes an int64 as its two's complement, which takes ten bytes for negative values.
fn push_int(out: &mut Vec<u8>, field: u64, value: i64) {
    push_key(out, field, VARINT);
    push_varint(out, value as u64);
}

fn push_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    push_key(out, field, LENGTH_FIRST);
    push_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `n` bytes off the front.
    fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
        let (front, rest) = bytes.split_at(n);
        *bytes = rest;
        front
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = take(bytes, 1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// All fields of a message: number and content (a varint as its eight bytes).
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let content = match key & 7 {
                VARINT => varint(&mut bytes).to_le_bytes().to_vec(),
                EIGHT_BYTES => take(&mut bytes, 8).to_vec(),
                FOUR_BYTES => take(&mut bytes, 4).to_vec(),
                LENGTH_FIRST => {
                    let length = varint(&mut bytes) as usize;
                    take(&mut bytes, length).to_vec()
                }
                other => panic!("wire type {other}"),
            };
            found.push((key >> 3, content));
        }
        found
    }

    fn payloads(mut file: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !file.is_empty() {
            let length: [u8; 8] = take(&mut file, 8).try_into().unwrap();
            assert_eq!(take(&mut file, 4), masked_crc(&length).to_le_bytes());
            let payload = take(&mut file, u64::from_le_bytes(length) as usize);
            assert_eq!(take(&mut file, 4), masked_crc(payload).to_le_bytes());
            found.push(payload.to_vec());
        }
        found
    }

    fn scalar(payload: &[u8]) -> Scalar {
        let event = fields(payload);
        assert_eq!(event.iter().map(|field| field.0).collect::<Vec<_>>(), [1, 2, 5]);
        let summary = fields(&event[2].1);
        let value = fields(&summary[0].1);
        Scalar {
            wall_time: f64::from_le_bytes(event[0].1[..].try_into().unwrap()),
            step: i64::from_le_bytes(event[1].1[..].try_into().unwrap()),
            tag: String::from_utf8(value[0].1.clone()).unwrap(),
            value: f32::from_le_bytes(value[1].1[..].try_into().unwrap()),
        }
    }

    fn some() -> Vec<Scalar> {
        let steps = [0, 1, 127, 128, 65_536, i64::MAX, -1];
        let tags = ["loss", "m-step/loss", &"long ".repeat(60), "σ", "e", "f", "g"];
        let all = steps.into_iter().zip(tags).enumerate();
        all.map(|(i, (step, tag))| Scalar {
            tag: tag.into(),
            step,
            wall_time: 1.7e9 + i as f64 / 8.0,
            value: 0.1 * i as f32,
        })
        .collect()
    }

    #[test]
    fn every_record_can_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file_name(1_700_000_000));
        write_events(&path, some()).unwrap();
        let payloads = payloads(&std::fs::read(&path).unwrap());
        assert_eq!(fields(&payloads[0])[1], (3, b"brain.Event:2".to_vec()));
        assert_eq!(payloads[1..].iter().map(|payload| scalar(payload)).collect::<Vec<_>>(), some());
    }

    #[test]
    fn the_opening_bytes_are_those_of_tensorflow() {
        // The first twelve bytes of every event file that TensorFlow writes: length 24 and its masked CRC.
        assert_eq!(events([])[..12], [24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn the_name_has_ten_digits() {
        assert_eq!(file_name(1_700_000_000), "events.out.tfevents.1700000000.diffem");
        assert_eq!(file_name(5), "events.out.tfevents.0000000005.diffem");
    }
}
