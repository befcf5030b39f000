//! Memory in whole cache lines.

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes that start at a cache line and whose number is rounded up to whole ones, zero at first.
#[derive(Clone, Default)]
pub(super) struct Lines(Vec<Line>);

impl Lines {
    pub(super) fn new(bytes: usize) -> Self {
        let mut lines = Self::default();
        lines.grow(bytes);
        lines
    }

    /// Makes room for at least `bytes`, never fewer than before; what is there stays.
    pub(super) fn grow(&mut self, bytes: usize) {
        let lines = bytes.div_ceil(64);
        if lines > self.0.len() {
            self.0.resize(lines, Line([0; 64]));
        }
    }

    /// The first `bytes`, in memory of their own.
    pub(super) fn prefix(&self, bytes: usize) -> Self {
        Self(self.0[..bytes.div_ceil(64)].to_vec())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() * 64
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: a line is 64 initialised bytes without padding.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and any byte makes a valid line.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }
}
