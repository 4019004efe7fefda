//! Encodings, strict: what is not text in the declared encoding stays a byte that is no text, and is never replaced.

use std::io::{self, Read};

use encoding_rs::DecoderResult;

/// Stands for one byte that could not be decoded: never a part of UTF-8, so that the reader behind rejects exactly its row.
const UNDECODABLE: u8 = 0xFF;

/// How the characters of a file are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Utf8,
    /// The byte order mark decides, or without one the place of the zero bytes.
    Utf16,
    Utf16Le,
    Utf16Be,
    /// Each byte is the character with its number.
    Latin1,
    SingleByte(&'static encoding_rs::Encoding),
    MultiByte(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// UTF-8.
    pub const UTF_8: Self = Self(Kind::Utf8);

    /// The encoding with this name (a label of the WHATWG encoding standard). Those with states are not offered.
    pub fn parse(name: &str) -> Option<Self> {
        let label = name.trim().to_ascii_lowercase();
        Some(Self(match label.as_str() {
            "utf-8" | "utf8" => Kind::Utf8,
            "utf-16" | "utf16" => Kind::Utf16,
            "utf-16le" => Kind::Utf16Le,
            "utf-16be" => Kind::Utf16Be,
            // The standard takes these for windows-1252; a bank that writes Latin-1 means Latin-1.
            "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" | "us-ascii" | "ascii" => Kind::Latin1,
            label => {
                let known = encoding_rs::Encoding::for_label(label.as_bytes())?;
                match known.name() {
                    "UTF-8" | "UTF-16LE" | "UTF-16BE" | "ISO-2022-JP" | "replacement" | "x-user-defined" => {
                        return None;
                    }
                    "Shift_JIS" | "EUC-JP" | "EUC-KR" | "GBK" | "gb18030" | "Big5" => Kind::MultiByte(known),
                    _ => Kind::SingleByte(known),
                }
            }
        }))
    }

    /// Its name, as it is written in a mapping.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Utf8 => "utf-8",
            Kind::Utf16 => "utf-16",
            Kind::Utf16Le => "utf-16le",
            Kind::Utf16Be => "utf-16be",
            Kind::Latin1 => "iso-8859-1",
            Kind::SingleByte(encoding) | Kind::MultiByte(encoding) => encoding.name(),
        }
    }

    /// True for UTF-8, which needs no decoding.
    pub fn is_utf8(self) -> bool {
        self.0 == Kind::Utf8
    }

    /// How many bytes of the file a part of the decoded text came from.
    pub fn source_len(self, text: &[u8]) -> u64 {
        let characters = || text.iter().filter(|byte| **byte & 0xC0 != 0x80);
        match self.0 {
            Kind::Utf8 => text.len() as u64,
            Kind::Latin1 | Kind::SingleByte(_) => characters().count() as u64,
            Kind::Utf16 | Kind::Utf16Le | Kind::Utf16Be => characters()
                .map(|byte| match byte {
                    &UNDECODABLE => 1,
                    0xF0.. => 4,
                    _ => 2,
                })
                .sum(),
            Kind::MultiByte(encoding) => {
                text.split(|byte| *byte == UNDECODABLE).map(|part| encoded_len(encoding, part)).sum::<u64>()
                    + text.iter().filter(|byte| **byte == UNDECODABLE).count() as u64
            }
        }
    }

    /// The bytes of a text, or the first character that the encoding does not have, or that would not be read back from it.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, char> {
        // The control characters above ASCII are no text here, as for the reader.
        let control = |character: &char| ('\u{80}'..='\u{9F}').contains(character);
        match self.0 {
            Kind::Utf8 => Ok(text.as_bytes().to_vec()),
            Kind::Utf16 | Kind::Utf16Le => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            Kind::Utf16Be => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            _ if text.is_ascii() => Ok(text.as_bytes().to_vec()),
            Kind::Latin1 => {
                let latin = |character: char| u8::try_from(u32::from(character)).ok().filter(|_| !control(&character));
                text.chars().map(|character| latin(character).ok_or(character)).collect()
            }
            Kind::SingleByte(known) | Kind::MultiByte(known) => {
                let single = matches!(self.0, Kind::SingleByte(_));
                let exact = |text: &str| {
                    let (bytes, _, lost) = known.encode(text);
                    let back = known.decode_without_bom_handling_and_without_replacement(&bytes);
                    let good =
                        !lost && back.as_deref() == Some(text) && !(single && text.contains(|one| control(&one)));
                    good.then(|| bytes.into_owned())
                };
                let stranger = |character: &char| exact(character.encode_utf8(&mut [0; 4])).is_none();
                exact(text).ok_or_else(|| text.chars().find(stranger).unwrap_or('\u{FFFD}'))
            }
        }
    }

    /// The character of each byte, of an encoding with one byte a character. Control characters above ASCII are none: no text
    /// has them, and they are the sign of a wrong guess.
    fn table(self) -> Option<Box<[Option<char>; 256]>> {
        let mut table = Box::new([None; 256]);
        for (byte, slot) in (0_u8..=255).zip(table.iter_mut()) {
            let character = match self.0 {
                Kind::Latin1 => Some(char::from(byte)),
                Kind::SingleByte(encoding) => encoding
                    .decode_without_bom_handling_and_without_replacement(&[byte])
                    .and_then(|text| text.chars().next()),
                _ => return None,
            };
            *slot = character.filter(|character| !('\u{80}'..='\u{9F}').contains(character));
        }
        Some(table)
    }
}

/// A character that the encoder does not know has three bytes: those of JIS X 0212 in EUC-JP.
fn encoded_len(encoding: &'static encoding_rs::Encoding, text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    if text.is_ascii() {
        return text.len() as u64;
    }
    let length = |character: char| {
        let mut buffer = [0; 4];
        let (bytes, _, bad) = encoding.encode(character.encode_utf8(&mut buffer));
        if bad { 3 } else { bytes.len() as u64 }
    };
    text.chars().map(length).sum()
}

/// Reads a file as UTF-8. Each byte that could not be decoded comes out as 0xFF; a byte order mark does not come out.
pub struct Transcoder<R> {
    reader: R,
    encoding: Encoding,
    raw: Vec<u8>,
    out: Vec<u8>,
    given: usize,
    mark: Option<u64>,
    ended: bool,
    table: Option<Box<[Option<char>; 256]>>,
    decoder: Option<encoding_rs::Decoder>,
}

impl<R: Read> Transcoder<R> {
    /// Reads `reader`, which is at its beginning.
    pub fn new(reader: R, encoding: Encoding) -> Self {
        let decoder = match encoding.0 {
            Kind::MultiByte(encoding) => Some(encoding.new_decoder_without_bom_handling()),
            _ => None,
        };
        let table = encoding.table();
        let (raw, out) = (Vec::new(), Vec::new());
        Self { reader, encoding, raw, out, given: 0, mark: None, ended: false, table, decoder }
    }

    /// Length of the byte order mark, once something was read.
    pub fn mark_len(&self) -> u64 {
        self.mark.unwrap_or(0)
    }

    fn fill(&mut self) -> io::Result<()> {
        let before = self.raw.len();
        let read = (&mut self.reader).take(64 << 10).read_to_end(&mut self.raw)?;
        self.ended = read == 0;
        let _ = before;
        if self.mark.is_none() && (self.ended || self.raw.len() >= 4) {
            self.begin();
        }
        if self.mark.is_some() {
            self.decode();
        }
        Ok(())
    }

    /// Takes the mark off, and decides about UTF-16 without a named order.
    fn begin(&mut self) {
        let (mark, kind) = match (self.encoding.0, self.raw.as_slice()) {
            (Kind::Utf8, [0xEF, 0xBB, 0xBF, ..]) => (3, Kind::Utf8),
            (Kind::Utf16 | Kind::Utf16Le, [0xFF, 0xFE, ..]) => (2, Kind::Utf16Le),
            (Kind::Utf16 | Kind::Utf16Be, [0xFE, 0xFF, ..]) => (2, Kind::Utf16Be),
            (Kind::Utf16, [0, _, ..]) => (0, Kind::Utf16Be),
            (Kind::Utf16, _) => (0, Kind::Utf16Le),
            (kind, _) => (0, kind),
        };
        self.encoding = Encoding(kind);
        self.raw.drain(..mark);
        self.mark = Some(mark as u64);
    }

    fn decode(&mut self) {
        match self.encoding.0 {
            Kind::Utf8 => self.out.append(&mut self.raw),
            Kind::Latin1 | Kind::SingleByte(_) => self.decode_bytes(),
            Kind::Utf16 | Kind::Utf16Le => self.decode_wide(u16::from_le_bytes),
            Kind::Utf16Be => self.decode_wide(u16::from_be_bytes),
            Kind::MultiByte(_) => self.decode_multi(),
        }
    }

    fn decode_bytes(&mut self) {
        let Some(table) = &self.table else { return };
        for byte in self.raw.drain(..) {
            match table[usize::from(byte)] {
                Some(character) if character.is_ascii() => self.out.push(byte),
                Some(character) => self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                None => self.out.push(UNDECODABLE),
            }
        }
    }

    fn decode_wide(&mut self, unit: fn([u8; 2]) -> u16) {
        let (mut at, mut buffer) = (0, [0; 4]);
        let raw = &self.raw;
        let unit_at = |at: usize| raw.get(at..at + 2).and_then(|pair| pair.try_into().ok()).map(unit);
        while let Some(first) = unit_at(at) {
            let high = (0xD800..0xDC00).contains(&first);
            if high && raw.len() < at + 4 && !self.ended {
                break;
            }
            let units = [first, unit_at(at + 2).unwrap_or(0)];
            let used = if high { &units[..] } else { &units[..1] };
            match char::decode_utf16(used.iter().copied()).next() {
                Some(Ok(character)) => {
                    self.out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                    at += 2 * character.len_utf16();
                }
                _ => {
                    self.out.extend_from_slice(&[UNDECODABLE; 2]);
                    at += 2;
                }
            }
        }
        if self.ended && at < raw.len() {
            self.out.push(UNDECODABLE);
            at = raw.len();
        }
        self.raw.drain(..at);
    }

    fn decode_multi(&mut self) {
        let Some(decoder) = &mut self.decoder else { return };
        let mut at = 0;
        loop {
            let rest = self.raw.get(at..).unwrap_or_default();
            let room = decoder.max_utf8_buffer_length_without_replacement(rest.len()).unwrap_or(rest.len() * 4 + 16);
            let start = self.out.len();
            self.out.resize(start + room, 0);
            let target = self.out.get_mut(start..).unwrap_or_default();
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(rest, target, self.ended);
            self.out.truncate(start + written);
            at += read;
            match result {
                DecoderResult::Malformed(length, _) => {
                    self.out.resize(self.out.len() + usize::from(length), UNDECODABLE);
                }
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
            }
        }
        self.raw.clear();
        if self.ended {
            self.decoder = None;
        }
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() && !self.ended {
            self.out.clear();
            self.given = 0;
            self.fill()?;
        }
        let rest = self.out.get(self.given..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives at most `0` bytes at a time.
    struct Slow<'a>(usize, &'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.min(buffer.len()).min(self.1.len());
            buffer[..count].copy_from_slice(&self.1[..count]);
            self.1 = &self.1[count..];
            Ok(count)
        }
    }

    fn decoded(name: &str, bytes: &[u8]) -> (Vec<u8>, u64) {
        let mut transcoder = Transcoder::new(Slow(7, bytes), Encoding::parse(name).unwrap());
        let mut out = Vec::new();
        transcoder.read_to_end(&mut out).unwrap();
        (out, transcoder.mark_len())
    }

    fn text(name: &str, bytes: &[u8]) -> String {
        String::from_utf8(decoded(name, bytes).0).unwrap()
    }

    #[test]
    fn each_encoding_reads_its_own() {
        assert_eq!(text("utf-8", "\u{feff}Bærø".as_bytes()), "Bærø");
        assert_eq!(text("windows-1252", b"B\xe6r\xf8 \x80"), "Bærø €");
        assert_eq!(text("iso-8859-1", b"B\xe6r\xf8"), "Bærø");
        assert_eq!(text("iso-8859-15", b"\xa4"), "€");
        assert_eq!(text("utf-16", b"\xff\xfeB\0\xe6\0"), "Bæ");
        assert_eq!(text("utf-16", b"\0B\0\xe6"), "Bæ");
        assert_eq!(text("utf-16", b"B\0\xe6\0"), "Bæ");
        assert_eq!(text("utf-16be", b"\xd8\x3d\xde\x00"), "😀");
        assert_eq!(text("shift_jis", b"\x93\xfa\x96\x7b"), "日本");
        assert_eq!(text("gb18030", b"\x81\x30\x81\x30"), "\u{80}");
        assert_eq!(Encoding::parse("utf-7"), None);
        assert_eq!(Encoding::parse("iso-2022-jp"), None);
    }

    #[test]
    fn what_is_no_text_stays_no_text() {
        // The control characters of Latin-1 are what windows-1252 looks like when it is declared wrongly.
        assert_eq!(decoded("iso-8859-1", b"a\x80b").0, b"a\xffb");
        assert_eq!(decoded("windows-1252", b"a\x81b").0, b"a\xffb");
        assert_eq!(decoded("utf-16le", b"a\0\0\xd8b\0c").0, b"a\xff\xffb\xff");
        assert_eq!(decoded("shift_jis", b"a\x93").0, b"a\xff");
        assert_eq!(decoded("utf-8", b"a\xc3").0, b"a\xc3");
    }

    #[test]
    fn a_text_is_encoded_whole_or_its_first_stranger_is_named() {
        let encode = |name: &str, text: &str| Encoding::parse(name).unwrap().encode(text);
        assert_eq!(encode("windows-1252", "€5"), Ok(b"\x805".to_vec()));
        assert_eq!(encode("iso-8859-1", "5 €"), Err('€'));
        assert_eq!(encode("windows-1252", "a日"), Err('日'));
    }

    proptest! {
        #[test]
        fn every_byte_of_the_file_is_accounted_for(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            name in prop::sample::select(vec![
                "utf-8", "windows-1252", "iso-8859-1", "iso-8859-15", "koi8-r", "utf-16le", "utf-16be", "utf-16", "shift_jis",
                "euc-kr", "big5",
            ]),
            size in 1_usize..40,
        ) {
            let encoding = Encoding::parse(name).unwrap();
            let mut transcoder = Transcoder::new(Slow(size, &bytes), encoding);
            let mut out = Vec::new();
            transcoder.read_to_end(&mut out).unwrap();
            let (whole, mark) = decoded(name, &bytes);
            prop_assert_eq!(&out, &whole);
            if !matches!(name, "shift_jis" | "euc-kr" | "big5") {
                prop_assert_eq!(mark + encoding.source_len(&out), bytes.len() as u64);
            }
        }
    }
}
