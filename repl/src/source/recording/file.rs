//! Recordings as bytes of a file: compressed if they are large, told from damaged ones.
//!
//! What is compressed is gzip(1)'s format, so `zcat` shows it. A reader goes by the first bytes, not by the name.
//!
//! The header's last key is `"crc32":"xxxxxxxx"`: the CRC-32 of the whole text but these eight digits. A text
//! without it is older, or was written by hand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

use crate::file::own::{self, Whose};
use crate::kernel::signals::{self, Checked};
use crate::report::error::Failure;

/// The most bytes of a recording that are read, of one that is compressed behind its decompression too. A hundred
/// thousand caches take less.
pub const MAX_BYTES: u64 = 128 << 20;

/// The bytes from which on a recording is compressed.
const LARGE: usize = 64 << 10;

/// What a file of gzip(1) begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What stands before the digits of the checksum.
const MARK: &str = "\"crc32\":\"";
const DIGITS: usize = 8;

/// Reads a file, up to what a recording may have.
pub fn read(path: &Path, whose: Whose) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // A byte more tells a file that is too long; a file may have no end.
    own::open(path, whose)
        .and_then(|file| Checked(file).take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .or_else(|error| signals::check().and(Err(Failure::file("read", path, &error))))?;
    Ok(bytes)
}

/// The first line that a file holds, without its end; of one that is longer than `most`, its beginning.
pub fn first_line(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut file = BufReader::new(own::open(path, Whose::Any)?);
    let packed = file.fill_buf()?.starts_with(&GZIP);
    let read: &mut dyn BufRead =
        if packed { &mut BufReader::new(GzDecoder::new(file)) } else { &mut file };
    let mut line = Vec::new();
    read.take(most as u64).read_until(b'\n', &mut line)?;
    line.pop_if(|byte| *byte == b'\n');
    Ok(line)
}

/// The text that a file holds. The error says why there is none.
pub fn unpack(bytes: Vec<u8>) -> Result<String, String> {
    unpack_within(bytes, MAX_BYTES)
}

fn unpack_within(bytes: Vec<u8>, most: u64) -> Result<String, String> {
    if bytes.len() as u64 > most {
        return Err("it is too long".to_owned());
    }
    if !bytes.starts_with(&GZIP) {
        return String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
    }
    let (mut text, mut decoder) = (Vec::new(), Checked(GzDecoder::new(&*bytes)));
    // A few bytes may stand for very many.
    let read = read_within(&mut decoder, most, &mut text);
    if text.len() as u64 > most {
        return Err("it is too long when it is decompressed".to_owned());
    }
    match read {
        Err(_) if signals::happened() => Err("it was not read to its end".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err("it is compressed and truncated".to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
            Err("there is too little memory to decompress it".to_owned())
        }
        Err(_) => Err("it is compressed and damaged".to_owned()),
        Ok(()) if !decoder.0.into_inner().is_empty() => {
            Err("it is compressed, with trailing data".to_owned())
        }
        Ok(()) => {
            text.shrink_to_fit();
            String::from_utf8(text)
                .map_err(|_| "it is not UTF-8 when it is decompressed".to_owned())
        }
    }
}

/// Reads to the end, or a byte beyond `most`. The text never has room for more, as one would that doubles.
fn read_within(from: &mut impl Read, most: u64, text: &mut Vec<u8>) -> io::Result<()> {
    let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1);
    let mut piece = vec![0; LARGE];
    loop {
        let count = from.read(&mut piece)?.min(most - text.len());
        if count == 0 {
            return Ok(());
        }
        if text.capacity() - text.len() < count {
            text.try_reserve_exact(text.len().max(LARGE).min(most - text.len()))?;
        }
        text.extend_from_slice(&piece[..count]);
    }
}

/// The bytes of a file that holds `text`.
#[must_use]
pub fn pack(text: String) -> Vec<u8> {
    if text.len() < LARGE {
        return text.into_bytes();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    match encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()) {
        Ok(bytes) => bytes,
        // Memory takes what it is given; but a recording is as good without.
        Err(_) => text.into_bytes(),
    }
}

/// A header with a checksum of itself and of the lines behind it: the whole text.
#[must_use]
pub fn sealed(header: &str, lines: &str) -> String {
    let open = header.strip_suffix('}').unwrap_or(header);
    let mut text = format!("{open},{MARK}{:0DIGITS$}\"}}\n{lines}", 0);
    let start = open.len() + 1 + MARK.len();
    let sum = checksum(&text, start);
    text.replace_range(start..start + DIGITS, &sum);
    text
}

/// Whether a text is what was written, by the checksum in its header. The error says how it is not.
pub fn check(text: &str, stated: &str) -> Result<(), String> {
    let header = text.lines().next().unwrap_or_default();
    let start = header.find(MARK).map(|at| at + MARK.len());
    let start = start.filter(|start| text.get(*start..start + DIGITS) == Some(stated));
    let start = start.ok_or("its checksum line is malformed")?;
    let found = checksum(text, start);
    if found == stated {
        return Ok(());
    }
    Err(format!("it is damaged: its checksum is {found}, but should be {stated}"))
}

/// The CRC-32 of a text without the digits that begin at `start`.
fn checksum(text: &str, start: usize) -> String {
    let bytes = text.as_bytes();
    let mut crc = Crc::new();
    crc.update(&bytes[..start]);
    crc.update(&bytes[start + DIGITS..]);
    format!("{:0DIGITS$x}", crc.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn large_texts_are_compressed_and_come_back() {
        for length in [0, LARGE - 1, LARGE, 5 * LARGE] {
            let text = "a".repeat(length);
            let bytes = pack(text.clone());
            assert_eq!(bytes.starts_with(&GZIP), length >= LARGE);
            assert!(bytes.len() < LARGE);
            assert_eq!(unpack(bytes).unwrap(), text);
        }
    }

    #[test]
    fn a_compressed_file_is_whole() {
        let bytes = gzip(b"some text that is long enough");
        for cut in 2..bytes.len() {
            let reason = unpack(bytes[..cut].to_vec()).unwrap_err();
            assert_eq!(reason, "it is compressed and truncated", "{cut}");
        }
        let longer = [bytes.as_slice(), b"x"].concat();
        assert!(unpack(longer).unwrap_err().ends_with("trailing data"));
        assert!(unpack(gzip(b"\xff")).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn few_bytes_that_stand_for_many_are_refused() {
        let most = 1 << 20;
        let zeros = vec![b'0'; most + 1];
        assert_eq!(unpack_within(gzip(&zeros[..most]), most as u64).unwrap().len(), most);
        let bytes = gzip(&zeros);
        assert!(bytes.len() < 2048);
        let reason = unpack_within(bytes, most as u64).unwrap_err();
        assert_eq!(reason, "it is too long when it is decompressed");
    }

    #[test]
    fn a_checksum_is_of_every_other_byte() {
        let text = sealed("{\"version\":1}", "[1]\n[2]\n");
        let start = text.find(MARK).unwrap() + MARK.len();
        let stated = text[start..start + DIGITS].to_owned();
        check(&text, &stated).unwrap();
        assert!(text.ends_with(&format!("{MARK}{stated}\"}}\n[1]\n[2]\n")), "{text}");
        for at in (0..text.len()).filter(|at| !(start..start + DIGITS).contains(at)) {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            check(&String::from_utf8(bytes).unwrap(), &stated).unwrap_err();
        }
        check(&text, "00000000").unwrap_err();
        check("{}", &stated).unwrap_err();
    }
}
