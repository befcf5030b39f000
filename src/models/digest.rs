//! SHA-256 of files, in lower-case hex, computed while they are read or written.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

const BLOCK: usize = 1 << 18;

/// Whether a text is a SHA-256 in lower-case hex.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The SHA-256 of a few bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 and the size of a file; `progress` is told the bytes read so far.
///
/// # Errors
/// What reading it says.
pub fn of_file(path: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<Sum> {
    copy(&mut File::open(path)?, &mut io::sink(), progress)
}

/// Copies everything, and sums it up on the way.
///
/// # Errors
/// What reading or writing says.
pub fn copy(from: &mut dyn Read, to: &mut dyn Write, progress: &mut dyn FnMut(u64)) -> io::Result<Sum> {
    let mut summing = Summing::new(to);
    summing.take_all(from, progress)?;
    summing.finish()
}

/// What was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Bytes.
    pub size: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// A writer that sums up what passes through it.
pub struct Summing<W> {
    to: W,
    size: u64,
    hash: Sha256,
}

impl<W: Write> Summing<W> {
    /// Sums up what is written to `to`.
    pub fn new(to: W) -> Self {
        Self { to, size: 0, hash: Sha256::new() }
    }

    /// Bytes that have passed so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes all that can be read; `progress` is told the bytes written so far, over all calls.
    ///
    /// # Errors
    /// What reading or writing says.
    pub fn take_all(&mut self, from: &mut dyn Read, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let mut block = vec![0; BLOCK];
        loop {
            let read = match from.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.to.write_all(&block[..read])?;
            self.hash.update(&block[..read]);
            self.size += read as u64;
            progress(self.size);
        }
    }

    /// Flushes, and gives the sum of all that was written.
    ///
    /// # Errors
    /// What flushing says.
    pub fn finish(mut self) -> io::Result<Sum> {
        self.to.flush()?;
        Ok(Sum { size: self.size, sha256: hex(&self.hash.finalize()) })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standard() {
        // FIPS 180-2, B.1.
        let sum = copy(&mut &b"abc"[..], &mut io::sink(), &mut |_| ()).unwrap();
        assert_eq!(sum.size, 3);
        assert_eq!(sum.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(is_sha256(&sum.sha256) && !is_sha256(&sum.sha256.to_uppercase()) && !is_sha256("ba"));
    }
}
