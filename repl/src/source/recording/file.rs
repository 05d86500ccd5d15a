//! Recordings as bytes: compressed if there are many, and told from damaged ones.
//!
//! What is compressed is gzip(1)'s format, so `zcat` shows it. A reader goes by the first bytes, not by the name. Nothing
//! is unpacked as a whole: a reader holds a line, a writer what a compressor does.
//!
//! The last key of a line that is an object is `"crc32":"xxxxxxxx"`: the CRC-32 of all that it is for, but these eight
//! digits. A text without it was written by hand, or is older.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

use crate::file::own::{self, Whose};
use crate::kernel::signals::{self, Checked};
use crate::report::error::{Failure, errno};

/// The most bytes of a text, of one that is compressed behind its decompression; and of what comes from a pipe, or is of
/// version 1.
pub const MAX_TEXT: u64 = 1 << 36;
pub const MAX_HELD: u64 = 128 << 20;

/// The bytes from which on a recording is compressed.
const LARGE: usize = 64 << 10;

/// What is read of a file at once.
const PIECE: usize = 64 << 10;

/// The most bytes of a line.
pub const MAX_LINE: usize = 1 << 20;

/// What a file of gzip(1) begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What stands before the digits of the checksum.
const MARK: &str = "\"crc32\":\"";
const DIGITS: usize = 8;

const CUT_OFF: &str = "it was not read to its end";
const TRAILING: &str = "it is compressed, with trailing data";

/// Where the bytes of a recording are.
#[derive(Debug)]
pub enum Bytes {
    /// In memory.
    Held(Cow<'static, [u8]>),
    /// In a file, from this place on.
    File(File, u64),
}

impl Bytes {
    /// Opens a file. What has no places, such as a pipe, is read.
    pub fn open(path: &Path, whose: Whose) -> Result<Self, Failure> {
        let open = || {
            let mut file = own::open(path, whose)?;
            if file.metadata()?.is_file() {
                let at = file.stream_position()?;
                return Ok(Self::File(file, at));
            }
            let mut bytes = Vec::new();
            // A byte more tells one that is too long; it may have no end.
            Checked(file).take(MAX_HELD + 1).read_to_end(&mut bytes)?;
            Ok(Self::Held(bytes.into()))
        };
        open().or_else(|error| signals::check().and(Err(Failure::file("read", path, &error))))
    }

    /// Their text, from its beginning, which is not longer than `most`.
    pub fn lines(&self, most: u64) -> Result<Lines<'_>, String> {
        let mut raw: Box<dyn BufRead> = match self {
            Self::Held(bytes) if bytes.len() as u64 > MAX_HELD => {
                return Err("it is too long".to_owned());
            }
            Self::Held(bytes) => Box::new(&**bytes),
            Self::File(file, at) => {
                Box::new(BufReader::with_capacity(PIECE, Checked(At(file, *at))))
            }
        };
        let is_packed = raw.fill_buf().map_err(|error| unread(&error))?.starts_with(&GZIP);
        let text = if is_packed {
            let unpacked = Checked(Member(GzDecoder::new(raw)));
            Box::new(BufReader::with_capacity(PIECE, unpacked))
        } else {
            raw
        };
        Ok(Lines { text, is_packed, line: Vec::new(), left: most })
    }
}

/// Reads a file from a place on, without its own place.
struct At<'a>(&'a File, u64);

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read_at(buffer, self.1)?;
        self.1 += count as u64;
        Ok(count)
    }
}

/// What is compressed, with nothing behind it.
struct Member<R>(GzDecoder<R>);

impl<R: BufRead> Read for Member<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        if count == 0 && !buffer.is_empty() && !self.0.get_mut().fill_buf()?.is_empty() {
            return Err(io::Error::other(TRAILING));
        }
        Ok(count)
    }
}

/// The lines of a text.
pub struct Lines<'a> {
    text: Box<dyn BufRead + 'a>,
    is_packed: bool,
    line: Vec<u8>,
    left: u64,
}

impl Lines<'_> {
    /// Reads the next line; whether there is one. Of a line that is longer than any may be there is the beginning. It
    /// fails where what runs is to end.
    pub fn advance(&mut self) -> Result<bool, String> {
        signals::check().map_err(|_| CUT_OFF.to_owned())?;
        self.line.clear();
        let most = self.left.min(MAX_LINE as u64 + 1);
        let read = (&mut self.text).take(most).read_until(b'\n', &mut self.line);
        self.left -= self.line.len() as u64;
        if read.map_err(|error| self.reason(&error))? > 0 {
            return Ok(true);
        }
        let more = self.text.fill_buf().map(|rest| !rest.is_empty());
        match more.map_err(|error| self.reason(&error))? {
            false => Ok(false),
            true if self.is_packed => Err("it is too long when it is decompressed".to_owned()),
            true => Err("it is too long".to_owned()),
        }
    }

    /// Lines that were read ahead as a whole, up to one that begins with `end`; maybe none, and none longer than any may be.
    /// [`Self::pass`] passes over them.
    pub fn ahead(&mut self, end: u8) -> Result<&[u8], String> {
        signals::check().map_err(|_| CUT_OFF.to_owned())?;
        if let Err(error) = self.text.fill_buf() {
            return Err(self.reason(&error));
        }
        // It was filled right now, and is not read again.
        let bytes = self.text.fill_buf().unwrap_or_default();
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        let bytes = &bytes[..bytes.len().min(most)];
        if bytes.first() == Some(&end) {
            return Ok(&[]);
        }
        let ending = memchr::memmem::find(bytes, &[b'\n', end]);
        let last = ending.or_else(|| memchr::memrchr(b'\n', bytes));
        Ok(last.map_or(&[], |last| &bytes[..=last]))
    }

    /// Passes over so many bytes of those [`Self::ahead`].
    pub fn pass(&mut self, bytes: usize) {
        self.text.consume(bytes);
        self.left -= bytes as u64;
    }

    /// The line, with its end if it has one.
    pub fn raw(&self) -> &[u8] {
        &self.line
    }

    /// The line without its end.
    pub fn text(&self) -> Result<&str, String> {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        str::from_utf8(line).map_err(|_| self.not_text())
    }

    /// That its bytes are no text.
    pub fn not_text(&self) -> String {
        let packed = if self.is_packed { " when it is decompressed" } else { "" };
        format!("it is not UTF-8{packed}")
    }

    fn reason(&self, error: &io::Error) -> String {
        match error.kind() {
            _ if signals::happened() => CUT_OFF.to_owned(),
            _ if !self.is_packed || error.raw_os_error().is_some() => unread(error),
            io::ErrorKind::UnexpectedEof => "it is compressed and truncated".to_owned(),
            io::ErrorKind::Other => TRAILING.to_owned(),
            _ => "it is compressed and damaged".to_owned(),
        }
    }
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.text.read(buffer)
    }
}

fn unread(error: &io::Error) -> String {
    format!("it cannot be read: {}", errno(error))
}

/// The first line that a file holds.
pub fn first_line(path: &Path) -> Option<Vec<u8>> {
    let bytes = Bytes::open(path, Whose::Any).ok()?;
    let mut lines = bytes.lines(MAX_TEXT).ok()?;
    lines.advance().ok()?;
    Some(lines.raw().to_vec())
}

/// Writes bytes as they are while they are few, and compressed from then on.
pub struct Packed<W: Write> {
    out: Option<W>,
    held: Vec<u8>,
    encoder: Option<GzEncoder<W>>,
}

impl<W: Write> Packed<W> {
    pub fn new(out: W) -> Self {
        Self { out: Some(out), held: Vec::new(), encoder: None }
    }

    /// Writes what is left, and gives back what it was written to.
    pub fn finish(self) -> io::Result<W> {
        match (self.encoder, self.out) {
            (Some(encoder), _) => encoder.finish(),
            (None, Some(mut out)) => out.write_all(&self.held).map(|()| out),
            (None, None) => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

impl<W: Write> Write for Packed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(encoder) = &mut self.encoder {
            return encoder.write(bytes);
        }
        self.held.extend_from_slice(bytes);
        if self.held.len() >= LARGE
            && let Some(out) = self.out.take()
        {
            let mut encoder = GzEncoder::new(out, Compression::default());
            encoder.write_all(&std::mem::take(&mut self.held))?;
            self.encoder = Some(encoder);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A checksum on its way.
#[derive(Default)]
pub struct Sum(Crc);

impl Sum {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a line that states the checksum, without its digits. The error says that it does not state this one.
    pub fn add_sealed(&mut self, line: &[u8], stated: &str) -> Result<(), String> {
        let mark = MARK.as_bytes();
        let start = line.windows(mark.len()).rposition(|bytes| bytes == mark);
        let start = start.map(|at| at + mark.len()).filter(|start| {
            stated.len() == DIGITS && line[*start..].starts_with(stated.as_bytes())
        });
        let start = start.ok_or("its checksum line is malformed")?;
        self.add(&line[..start]);
        self.add(&line[start + DIGITS..]);
        Ok(())
    }

    /// Fails if it is not the one that is stated.
    pub fn check(&self, stated: &str) -> Result<(), String> {
        let found = self.digits();
        if found == stated {
            return Ok(());
        }
        Err(format!("it is damaged: its checksum is {found}, but should be {stated}"))
    }

    /// It as it is written.
    #[must_use]
    pub fn digits(&self) -> String {
        format!("{:0DIGITS$x}", self.0.sum())
    }

    /// The line of an object that states the checksum of what was added, and of itself.
    #[must_use]
    pub fn seal(mut self, object: &str) -> String {
        let open = format!("{},{MARK}", object.strip_suffix('}').unwrap_or(object));
        let end = "\"}\n";
        self.add(open.as_bytes());
        self.add(end.as_bytes());
        format!("{open}{}{end}", self.digits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The lines of bytes, or why there are none.
    fn unpack(bytes: Vec<u8>, most: u64) -> Result<String, String> {
        let bytes = Bytes::Held(bytes.into());
        let (mut lines, mut text) = (bytes.lines(most)?, String::new());
        while lines.advance()? {
            text += lines.text()?;
        }
        Ok(text)
    }

    #[test]
    fn many_bytes_are_compressed_and_come_back() {
        for length in [0, LARGE - 1, LARGE, 5 * LARGE] {
            let text = "a".repeat(length);
            let mut packed = Packed::new(Vec::new());
            packed.write_all(text.as_bytes()).unwrap();
            let bytes = packed.finish().unwrap();
            assert_eq!(bytes.starts_with(&GZIP), length >= LARGE);
            assert!(bytes.len() < LARGE);
            assert_eq!(unpack(bytes, MAX_TEXT).unwrap(), text);
        }
    }

    #[test]
    fn a_compressed_file_is_whole() {
        let bytes = gzip(b"some text that is long enough");
        for cut in 2..bytes.len() {
            let reason = unpack(bytes[..cut].to_vec(), MAX_TEXT).unwrap_err();
            assert_eq!(reason, "it is compressed and truncated", "{cut}");
        }
        let longer = [bytes.as_slice(), b"x"].concat();
        assert!(unpack(longer, MAX_TEXT).unwrap_err().ends_with("trailing data"));
        assert!(unpack(gzip(b"\xff"), MAX_TEXT).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn few_bytes_that_stand_for_many_are_refused() {
        let most = 4 << 20;
        let zeros = "0\n".repeat(most / 2 + 1);
        let bytes = gzip(&zeros.as_bytes()[..most]);
        assert_eq!(unpack(bytes, most as u64).unwrap().len(), most / 2);
        let bytes = gzip(zeros.as_bytes());
        assert!(bytes.len() < 16 << 10, "{}", bytes.len());
        let reason = unpack(bytes, most as u64).unwrap_err();
        assert_eq!(reason, "it is too long when it is decompressed");
        assert_eq!(unpack(zeros.into_bytes(), most as u64).unwrap_err(), "it is too long");
    }

    /// Whether what runs is to end is looked at before each line, and within a long one for each piece of it.
    #[test]
    fn an_interrupt_is_seen_by_the_next_line_or_piece() {
        for size in [1, 2, 4] {
            for (bytes, least) in [
                ("0123456789\n".repeat(1000 * size).into_bytes(), 1000 * size),
                (gzip("0123456789\n".repeat(1000 * size).as_bytes()), 1000 * size),
                (gzip(&vec![b'0'; size << 18]), size << 2),
            ] {
                let (before, length) = (signals::LOOKS.get(), bytes.len());
                unpack(bytes, MAX_TEXT).unwrap();
                let looks = signals::LOOKS.get() - before;
                assert!((least..2 * least + 10).contains(&looks), "{size} {length}: {looks}");
            }
        }
    }

    /// A line without an end is never held as a whole.
    #[test]
    fn a_long_line_is_cut() {
        let bytes = Bytes::Held(gzip(&vec![b'0'; 8 << 20]).into());
        let mut lines = bytes.lines(MAX_TEXT).unwrap();
        assert!(lines.advance().unwrap());
        assert_eq!(lines.raw().len(), MAX_LINE + 1);
    }

    #[test]
    fn a_checksum_is_of_every_other_byte() {
        let mut sum = Sum::default();
        sum.add(b"[1]\n[2]\n");
        let line = sum.seal("{\"rows\":2}");
        let start = line.find(MARK).unwrap() + MARK.len();
        let stated = line[start..start + DIGITS].to_owned();
        assert!(line.ends_with(&format!("{MARK}{stated}\"}}\n")), "{line}");
        let text = format!("[1]\n[2]\n{line}");
        let check = |bytes: &[u8]| {
            let mut sum = Sum::default();
            sum.add(&bytes[..8]);
            sum.add_sealed(&bytes[8..], &stated).and_then(|()| sum.check(&stated))
        };
        check(text.as_bytes()).unwrap();
        let digits = 8 + start..8 + start + DIGITS;
        for at in (0..text.len()).filter(|at| !digits.contains(at)) {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            check(&bytes).unwrap_err();
        }
        Sum::default().add_sealed(line.as_bytes(), "00000000").unwrap_err();
        Sum::default().add_sealed(b"{}", &stated).unwrap_err();
    }
}
