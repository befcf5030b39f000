//! The tokens of a conversation and what was computed of them, so that it is not computed again.

use candle_core::{Result, Tensor};

use super::cpu::CpuCache;

/// Memory on a device is taken in steps of this many tokens.
const STEP: usize = 512;

/// The tokens a model has seen in one conversation, with their keys and values.
///
/// The cache is written in place and grows as needed, up to the context.
pub struct Sequence {
    tokens: Vec<u32>,
    pub(super) cache: Cache,
}

/// Keys and values where the model computes.
pub(super) enum Cache {
    Cpu(Box<CpuCache>),
    Device(DeviceCache),
}

impl Sequence {
    /// An empty sequence.
    pub(super) fn new(cache: Cache) -> Self {
        Self { tokens: Vec::new(), cache }
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

    /// Counts tokens whose keys and values have been written in all layers.
    pub(super) fn extend(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
    }
}

/// Keys and values on a device, in f32.
pub(super) struct DeviceCache {
    layers: Vec<DeviceLayer>,
    capacity: usize,
}

struct DeviceLayer {
    /// `[kv_heads, capacity, head]`
    keys: Tensor,
    values: Tensor,
}

impl DeviceCache {
    /// Room for the first tokens; `empty` makes a tensor `[kv_heads, tokens, head]`.
    pub fn new(layers: usize, empty: impl Fn(usize) -> Result<Tensor>) -> Result<Self> {
        let layers = (0..layers).map(|_| Ok(DeviceLayer { keys: empty(STEP)?, values: empty(STEP)? }));
        Ok(Self { layers: layers.collect::<Result<_>>()?, capacity: STEP })
    }

    /// Makes room for `length` tokens.
    pub fn reserve(&mut self, length: usize) -> Result<()> {
        if length <= self.capacity {
            return Ok(());
        }
        let capacity = length.next_multiple_of(STEP);
        for layer in &mut self.layers {
            for held in [&mut layer.keys, &mut layer.values] {
                let (heads, _, head) = held.dims3()?;
                let larger = Tensor::zeros((heads, capacity, head), held.dtype(), held.device())?;
                larger.slice_set(held, 1, 0)?;
                *held = larger;
            }
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Writes the keys and values `[kv_heads, new, head]` of the tokens from `start` on, and returns all up to and
    /// including them.
    ///
    /// They count only once [`Sequence::extend`] says so: a forward pass that is broken off leaves nothing behind.
    pub fn write(&self, layer: usize, start: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let (layer, new) = (&self.layers[layer], keys.dim(1)?);
        layer.keys.slice_set(keys, 1, start)?;
        layer.values.slice_set(values, 1, start)?;
        Ok((layer.keys.narrow(1, 0, start + new)?, layer.values.narrow(1, 0, start + new)?))
    }
}
