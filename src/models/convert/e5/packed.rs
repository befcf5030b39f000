//! The reader of the packed file. It believes nothing: every count is checked against what is left.

use std::{collections::HashMap, path::PathBuf};

use super::super::ConvertError;

/// Values in a Q4_0 block.
pub(super) const BLOCK: usize = 32;
/// Bytes of a Q4_0 block: an f16 scale and 32 half bytes.
pub(super) const BLOCK_BYTES: usize = 18;

const MAGIC: &[u8; 4] = b"E5S1";
const VERSION: u32 = 1;
/// No dimension of such a model comes near this; it keeps products within usize.
const LARGEST: usize = 1 << 24;

/// The numbers at the front.
#[derive(Debug)]
pub(super) struct Header {
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub intermediate: usize,
    pub vocabulary: usize,
    pub positions: usize,
    pub token_types: usize,
    pub epsilon: f32,
    pub begin: usize,
    pub end: usize,
    pub pad: usize,
    pub unknown: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F32,
    Q4_0,
}

/// One tensor of the directory.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub dtype: Dtype,
    /// Elements, not bytes.
    pub count: usize,
    pub bytes: &'a [u8],
}

/// A packed file that has been taken apart.
#[derive(Debug)]
pub(super) struct Packed<'a> {
    path: PathBuf,
    pub header: Header,
    /// The Unigram pieces and their log-probabilities, in the order of their ids.
    pub pieces: Vec<(&'a str, f32)>,
    /// Characters that become others, or nothing, before tokenisation; ascending.
    pub normalise: Vec<(char, String)>,
    tensors: HashMap<&'a str, Entry<'a>>,
}

impl<'a> Packed<'a> {
    pub(super) fn parse(path: impl Into<PathBuf>, bytes: &'a [u8]) -> Result<Self, ConvertError> {
        let path = path.into();
        let mut reader = Reader { path: &path, bytes, at: 0 };
        if reader.take(4, "the magic number")? != MAGIC {
            return Err(ConvertError::unsupported(path, "it does not begin with E5S1"));
        }
        let version = reader.u32("the version")?;
        if version != VERSION {
            return Err(ConvertError::unsupported(path, format!("it is of version {version}, not {VERSION}")));
        }
        let header = reader.header()?;
        let blob_length = usize::try_from(reader.u64("the pieces' length")?).unwrap_or(usize::MAX);
        let pieces = reader.pieces(header.1, blob_length)?;
        let normalise = reader.normalise()?;
        let tensors = reader.tensors()?;
        Ok(Self { header: header.0, pieces, normalise, tensors, path })
    }

    pub(super) fn tensor(&self, name: &str) -> Result<&Entry<'a>, ConvertError> {
        self.tensors.get(name).ok_or_else(|| self.malformed(format!("it has no tensor {name}")))
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> ConvertError {
        ConvertError::malformed(&self.path, reason)
    }
}

/// A cursor that names what it was after when the bytes run out.
struct Reader<'a, 'p> {
    path: &'p PathBuf,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a, '_> {
    fn malformed(&self, reason: impl Into<String>) -> ConvertError {
        ConvertError::malformed(self.path, reason)
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], ConvertError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            let left = self.bytes.len() - self.at;
            self.malformed(format!("{what} needs {length} bytes at {}, but {left} are left", self.at))
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ConvertError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    fn u32(&mut self, what: &str) -> Result<u32, ConvertError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, ConvertError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A count that is at least 1 and small enough to be multiplied by another.
    fn count(&mut self, what: &str) -> Result<usize, ConvertError> {
        let count = self.u32(what)? as usize;
        if (1..=LARGEST).contains(&count) {
            Ok(count)
        } else {
            Err(self.malformed(format!("{what} is {count}, not within 1 and {LARGEST}")))
        }
    }

    /// The header, and how many pieces follow.
    fn header(&mut self) -> Result<(Header, usize), ConvertError> {
        let [hidden, layers, heads, intermediate, vocabulary, positions, token_types] = [
            self.count("the hidden size")?,
            self.count("the number of layers")?,
            self.count("the number of heads")?,
            self.count("the inner size")?,
            self.count("the vocabulary")?,
            self.count("the number of positions")?,
            self.count("the number of token types")?,
        ];
        let epsilon = f32::from_bits(self.u32("epsilon")?);
        let block = self.count("the block size")?;
        let pieces = self.count("the number of pieces")?;
        let mut special = |what| {
            let id = self.u32(what)? as usize;
            if id < pieces { Ok(id) } else { Err(self.malformed(format!("{what} is {id}, of {pieces} pieces"))) }
        };
        let [begin, end, pad, unknown] = [
            special("the first token's id")?,
            special("the last token's id")?,
            special("the padding's id")?,
            special("the unknown token's id")?,
        ];
        if block != BLOCK || hidden % BLOCK != 0 || intermediate % BLOCK != 0 || hidden % heads != 0 {
            return Err(self.malformed(format!(
                "hidden size {hidden}, {heads} heads, inner size {intermediate} and blocks of {block} do not fit together"
            )));
        }
        if !(epsilon > 0.0 && epsilon < 1.0) {
            return Err(self.malformed(format!("epsilon is {epsilon}")));
        }
        if pieces > vocabulary {
            return Err(self.malformed(format!("{pieces} pieces for a vocabulary of {vocabulary}")));
        }
        let header = Header {
            hidden,
            layers,
            heads,
            intermediate,
            vocabulary,
            positions,
            token_types,
            epsilon,
            begin,
            end,
            pad,
            unknown,
        };
        Ok((header, pieces))
    }

    fn pieces(&mut self, count: usize, blob_length: usize) -> Result<Vec<(&'a str, f32)>, ConvertError> {
        let offsets = self.take((count + 1) * 4, "the pieces' offsets")?.as_chunks::<4>().0;
        let scores = self.take(count * 4, "the pieces' scores")?.as_chunks::<4>().0;
        let blob = self.take(blob_length, "the pieces")?;
        let pieces = offsets.windows(2).zip(scores).enumerate().map(|(id, (pair, score))| {
            let [from, to] = [pair[0], pair[1]].map(|offset| u32::from_le_bytes(offset) as usize);
            let piece = blob.get(from..to).and_then(|piece| std::str::from_utf8(piece).ok());
            let piece = piece.filter(|piece| !piece.is_empty());
            let piece = piece.ok_or_else(|| self.malformed(format!("piece {id} at {from}..{to} is not text")))?;
            let score = f32::from_le_bytes(*score);
            if !score.is_finite() {
                return Err(self.malformed(format!("piece {id} has the score {score}")));
            }
            Ok((piece, score))
        });
        pieces.collect()
    }

    fn normalise(&mut self) -> Result<Vec<(char, String)>, ConvertError> {
        let count = self.u32("the number of normalised characters")?;
        let length = self.u32("the normalised characters' length")? as usize;
        let end = self.at.saturating_add(length);
        let mut map: Vec<(char, String)> = Vec::new();
        for _ in 0..count {
            let from = self.u32("a normalised character")?;
            let [length] = self.array("a normalised character's length")?;
            let from = self.character(from)?;
            let mut to = String::new();
            for _ in 0..length {
                let code = self.u32("a normalised character's replacement")?;
                to.push(self.character(code)?);
            }
            // An end of text or a NUL cannot stand in a map whose entries NULs divide.
            if from == '\0' || to.contains('\0') || map.last().is_some_and(|(last, _)| *last >= from) {
                return Err(self.malformed(format!("the normalised characters are out of order at {from:?}")));
            }
            map.push((from, to));
        }
        if self.at == end {
            Ok(map)
        } else {
            Err(self.malformed(format!("the normalised characters end at {}, not at {end}", self.at)))
        }
    }

    fn character(&self, code: u32) -> Result<char, ConvertError> {
        char::from_u32(code).ok_or_else(|| self.malformed(format!("{code:#x} is not a character")))
    }

    fn tensors(&mut self) -> Result<HashMap<&'a str, Entry<'a>>, ConvertError> {
        let count = self.u32("the number of tensors")?;
        let mut tensors = HashMap::new();
        for _ in 0..count {
            let length = u16::from_le_bytes(self.array("a tensor's name's length")?);
            let name = self.take(length.into(), "a tensor's name")?;
            let name = std::str::from_utf8(name).map_err(|_| self.malformed("a tensor's name is not text"))?;
            let [dtype] = self.array("a tensor's type")?;
            let count = self.u32("a tensor's size")? as usize;
            let offset = self.u64("a tensor's offset")?;
            let length = self.u64("a tensor's length")?;
            let (dtype, expected) = match dtype {
                0 => (Dtype::F32, count as u64 * 4),
                1 if count.is_multiple_of(BLOCK) => (Dtype::Q4_0, (count / BLOCK * BLOCK_BYTES) as u64),
                other => return Err(self.malformed(format!("tensor {name} has type {other} and {count} elements"))),
            };
            let bytes = offset
                .checked_add(length)
                .filter(|_| length == expected)
                .and_then(|end| self.bytes.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
            let bytes = bytes.ok_or_else(|| {
                let whole = self.bytes.len();
                self.malformed(format!(
                    "tensor {name} needs {expected} bytes, but names {length} at {offset} of a file of {whole}"
                ))
            })?;
            tensors.insert(name, Entry { dtype, count, bytes });
        }
        Ok(tensors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with the header of a tiny model, three pieces and one f32 tensor.
    fn file() -> Vec<u8> {
        let mut bytes = b"E5S1".to_vec();
        for number in [1u32, 32, 1, 1, 32, 4, 8, 2] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(1e-12f32.to_le_bytes());
        for number in [32u32, 4, 0, 2, 1, 3] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(7u64.to_le_bytes());
        for offset in [0u32, 1, 2, 3, 7] {
            bytes.extend(offset.to_le_bytes());
        }
        for score in [0f32, 0.0, 0.0, -3.0] {
            bytes.extend(score.to_le_bytes());
        }
        bytes.extend("abc▁d".as_bytes());
        for number in [1u32, 9, 0xff21] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.push(1);
        bytes.extend(u32::from('A').to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(3u16.to_le_bytes());
        bytes.extend(b"one");
        bytes.push(0);
        bytes.extend(2u32.to_le_bytes());
        let offset = bytes.len() as u64 + 16;
        bytes.extend(offset.to_le_bytes());
        bytes.extend(8u64.to_le_bytes());
        bytes.extend([0, 0, 128, 63, 0, 0, 0, 64]);
        bytes
    }

    #[test]
    fn a_file_is_taken_apart() {
        let bytes = file();
        let packed = Packed::parse("e5.bin", &bytes).unwrap();
        assert_eq!((packed.header.hidden, packed.header.unknown), (32, 3));
        assert_eq!(packed.pieces, [("a", 0.0), ("b", 0.0), ("c", 0.0), ("▁d", -3.0)]);
        assert_eq!(packed.normalise, [('Ａ', "A".to_owned())]);
        assert_eq!(packed.tensor("one").unwrap().bytes.len(), 8);
        assert!(packed.tensor("two").unwrap_err().to_string().contains("no tensor two"));
    }

    #[test]
    fn a_truncated_file_is_an_error_wherever_it_ends() {
        let bytes = file();
        for length in 0..bytes.len() {
            Packed::parse("e5.bin", &bytes[..length]).expect_err("truncated");
        }
    }

    #[test]
    fn a_damaged_byte_never_panics() {
        let bytes = file();
        for at in 0..bytes.len() {
            for damage in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = damage;
                let _ = Packed::parse("e5.bin", &damaged);
            }
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = file();
        bytes[4] = 2;
        let error = Packed::parse("e5.bin", &bytes).unwrap_err().to_string();
        assert!(error.contains("version 2, not 1"), "{error}");
    }
}
