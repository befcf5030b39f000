//! Packed weights.

use half::f16;

use super::KernelError;
use super::format::{BLOCK, Format, NEST, Scaling};
use super::ggml::{GgmlType, Sink, floats, take_apart};
use super::lines::Lines;
use super::simd::LANES;

/// The weights of a linear layer, N output rows by K columns, packed for products with quantised activations.
///
/// ggml's quantised types are held without loss; plain floats become 8-bit numbers with a scale for each 32 columns,
/// off by at most half a step, which is the greatest of the 32 over 254.
pub struct Matrix {
    pub(super) format: Format,
    rows: usize,
    columns: usize,
    /// A power of two that the scales are short of, for the sake of their 16 bits.
    pub(super) gain: f32,
    data: Lines,
}

impl Matrix {
    /// Packs a tensor of a GGUF file: `rows` rows of `columns` weights each, in ggml's blocks.
    ///
    /// # Errors
    /// If `columns` is not a multiple of 32 and of the type's block, or `bytes` is not `rows` rows.
    pub fn from_ggml(kind: GgmlType, rows: usize, columns: usize, bytes: &[u8]) -> Result<Self, KernelError> {
        let (weights, size) = kind.block();
        if columns == 0 || !columns.is_multiple_of(BLOCK) || !columns.is_multiple_of(weights) {
            return Err(KernelError::Columns { kind, columns });
        }
        let row = columns / weights * size;
        if row.checked_mul(rows) != Some(bytes.len()) {
            return Err(KernelError::Bytes { kind, rows, columns, bytes: bytes.len() });
        }
        if weights == 1 {
            let mut all = vec![0.0; rows * columns];
            floats(kind, bytes, &mut all);
            return Ok(Self::quantise(rows, columns, &all));
        }
        let mut matrix = Self::zeros(kind.format(), rows, columns);
        for (n, bytes) in bytes.chunks_exact(row).enumerate() {
            take_apart(kind, bytes, &mut matrix.writer(n));
        }
        Ok(matrix)
    }

    /// Quantises `rows` rows of `columns` floats to 8 bits with a scale for each 32 columns.
    ///
    /// Weights that are not finite count as zero.
    ///
    /// # Panics
    /// If `columns` is not a multiple of 32 or `weights` is not `rows` × `columns`.
    pub fn quantise(rows: usize, columns: usize, weights: &[f32]) -> Self {
        assert!(columns > 0 && columns.is_multiple_of(BLOCK), "{columns} columns are not a multiple of 32");
        assert_eq!(weights.len(), rows * columns, "the weights are not {rows} rows of {columns}");
        let finite = |x: f32| if x.is_finite() { x } else { 0.0 };
        let greatest = weights.iter().fold(0f32, |most, x| most.max(finite(*x).abs()));
        let mut matrix = Self::zeros(Format { bits: 8, scaling: Scaling::Plain }, rows, columns);
        // The greatest scale is put near the top of what 16 bits hold, so that small ones keep their digits.
        if greatest >= f32::MIN_POSITIVE {
            let exponent = (greatest / 127.0).max(f32::MIN_POSITIVE).log2().floor() as i32 - 14;
            matrix.gain = 2f32.powi(exponent.max(-126));
        }
        for (n, row) in weights.chunks_exact(columns).enumerate() {
            let mut writer = matrix.writer(n);
            for (block, w) in row.chunks_exact(BLOCK).enumerate() {
                let most = w.iter().fold(0f32, |most, x| most.max(finite(*x).abs()));
                let gain = writer.matrix.gain;
                let scale = f16::from_f32(most / 127.0 / gain);
                let step = scale.to_f32() * gain;
                writer.outer(block, scale.to_bits(), 0);
                let u = |k: usize| match step {
                    0.0 => 128,
                    _ => ((finite(w[k]) / step).round_ties_even().clamp(-127.0, 127.0) + 128.0) as u8,
                };
                writer.quants(block, &std::array::from_fn(u));
            }
        }
        matrix
    }

    fn zeros(format: Format, rows: usize, columns: usize) -> Self {
        let data = Lines::new(rows.div_ceil(LANES) * format.panel(columns / BLOCK));
        Self { format, rows, columns, gain: 1.0, data }
    }

    fn writer(&mut self, row: usize) -> Writer<'_> {
        Writer { panel: row / LANES * self.format.panel(self.blocks()), lane: row % LANES, matrix: self }
    }

    /// N, the number of outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// K, the number of inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The memory that the weights take, in bytes.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    pub(super) fn blocks(&self) -> usize {
        self.columns / BLOCK
    }

    pub(super) fn panels(&self) -> usize {
        self.rows.div_ceil(LANES)
    }

    /// The bytes of a panel.
    pub(super) fn panel(&self, panel: usize) -> &[u8] {
        let bytes = self.format.panel(self.blocks());
        &self.data.bytes()[panel * bytes..][..bytes]
    }

    /// Writes the weights of one row, K floats: for example the embedding of a token.
    ///
    /// # Panics
    /// If there is no such row or `out` is not K long.
    pub fn dequantise_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert_eq!(out.len(), self.columns, "a row has {} columns", self.columns);
        let (panel, lane, format) = (self.panel(row / LANES), row % LANES, self.format);
        let half = |at: usize| f16::from_le_bytes([panel[at + 2 * lane], panel[at + 2 * lane + 1]]).to_f32();
        for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let body = format.body_at(block);
            let u = format.get(&panel[body..body + format.body()], lane);
            let (outer, inner) = format.scale_at(block);
            let (first, second) = (panel[inner + lane], panel[inner + LANES + lane]);
            for (k, (o, u)) in out.iter_mut().zip(u).enumerate() {
                // A format's numbers are multiplied in ggml's order, so that they are rounded as ggml rounds them.
                let u = f32::from(u);
                *o = match format.scaling {
                    Scaling::Plain => (u - (1 << (format.bits - 1)) as f32) * half(outer) * self.gain,
                    Scaling::Affine => half(outer) * u + half(outer + 2 * LANES),
                    Scaling::Nested => half(outer) * f32::from(first) * u + half(outer + 2 * LANES) * f32::from(second),
                    Scaling::Halved => {
                        let scale = if k < BLOCK / 2 { first } else { second };
                        half(outer) * f32::from(scale as i8) * (u - 32.0)
                    }
                };
            }
        }
    }
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matrix({} × {}, {:?})", self.rows, self.columns, self.format)
    }
}

/// Writes one row of a matrix.
struct Writer<'a> {
    matrix: &'a mut Matrix,
    panel: usize,
    lane: usize,
}

impl Sink for Writer<'_> {
    fn quants(&mut self, block: usize, u: &[u8; BLOCK]) {
        let format = self.matrix.format;
        let at = self.panel + format.body_at(block);
        format.put(&mut self.matrix.data.bytes_mut()[at..at + format.body()], self.lane, u);
    }

    fn outer(&mut self, block: usize, scale: u16, min: u16) {
        let (outer, _) = self.matrix.format.scale_at(block);
        let at = self.panel + outer + 2 * self.lane;
        let bytes = self.matrix.data.bytes_mut();
        bytes[at..at + 2].copy_from_slice(&scale.to_le_bytes());
        if !self.matrix.format.symmetric() {
            bytes[at + 2 * LANES..][..2].copy_from_slice(&min.to_le_bytes());
        }
    }

    fn inner(&mut self, block: usize, first: u8, second: u8) {
        debug_assert!(self.matrix.blocks().is_multiple_of(NEST));
        let (_, inner) = self.matrix.format.scale_at(block);
        let at = self.panel + inner + self.lane;
        let bytes = self.matrix.data.bytes_mut();
        bytes[at] = first;
        bytes[at + LANES] = second;
    }
}
