//! The keys and values of a sequence, so that what was computed once is not computed again.

use candle_core::{DType, Device, Result, Tensor};

use super::shape::ModelShape;

/// Memory is taken in steps of this many tokens.
const STEP: usize = 512;

/// The tokens a model has seen in one conversation, with their keys and values.
///
/// The cache is preallocated and written in place; it grows by whole steps, up to the context.
pub struct Sequence {
    tokens: Vec<u32>,
    layers: Vec<LayerCache>,
    capacity: usize,
    kv_heads: usize,
    head: usize,
}

struct LayerCache {
    /// `[kv_heads, capacity, head]`
    keys: Tensor,
    values: Tensor,
}

impl Sequence {
    /// An empty sequence.
    pub(super) fn new(shape: &ModelShape, device: &Device) -> Result<Self> {
        let (kv_heads, head) = (shape.kv_heads, shape.head);
        let empty = || Tensor::zeros((kv_heads, STEP, head), DType::F32, device);
        let layers = (0..shape.layers).map(|_| Ok(LayerCache { keys: empty()?, values: empty()? }));
        Ok(Self { tokens: Vec::new(), layers: layers.collect::<Result<_>>()?, capacity: STEP, kv_heads, head })
    }

    /// The tokens whose keys and values are held.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many leading tokens of a prompt are held already, of which the last must be computed anyway.
    pub fn shared_with(&self, prompt: &[u32]) -> usize {
        let shared = self.tokens.iter().zip(prompt).take_while(|(held, wanted)| held == wanted).count();
        shared.min(prompt.len().saturating_sub(1))
    }

    /// Forgets all but the first `length` tokens.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
    }

    /// Makes room for `length` tokens.
    pub(super) fn reserve(&mut self, length: usize) -> Result<()> {
        if length <= self.capacity {
            return Ok(());
        }
        let capacity = length.next_multiple_of(STEP);
        for layer in &mut self.layers {
            for held in [&mut layer.keys, &mut layer.values] {
                let larger = Tensor::zeros((self.kv_heads, capacity, self.head), held.dtype(), held.device())?;
                larger.slice_set(held, 1, 0)?;
                *held = larger;
            }
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Writes the keys and values `[kv_heads, new, head]` of the tokens to come, and returns all up to and including them.
    ///
    /// They count only once [`Sequence::extend`] says so: a forward pass that is broken off leaves nothing behind.
    pub(super) fn write(&self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let cache = &self.layers[layer];
        let (start, new) = (self.tokens.len(), keys.dim(1)?);
        cache.keys.slice_set(keys, 1, start)?;
        cache.values.slice_set(values, 1, start)?;
        Ok((cache.keys.narrow(1, 0, start + new)?, cache.values.narrow(1, 0, start + new)?))
    }

    /// Counts tokens whose keys and values have been written in all layers.
    pub(super) fn extend(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
    }
}
