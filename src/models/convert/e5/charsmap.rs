//! SentencePiece's `precompiled_charsmap`, written: a double-array trie over UTF-8 bytes, then the replacements.
//!
//! The layout is Darts-clone's, as SentencePiece reads it. A unit keeps its label in bits 0–7, whether a key ends here in
//! bit 8, and in bits 10–31 the XOR distance to the place where its children stand. A child stands at that place XOR its
//! byte; where a key ends, the place itself holds a unit with bit 31 set and the value: an offset into the replacements,
//! each of which ends with NUL.

use std::collections::{BTreeMap, HashSet, VecDeque};

const LEAF: u32 = 1 << 8;
const VALUE: u32 = 1 << 31;
/// An XOR with any byte stays within a block of this many units, so whole blocks keep every lookup within the array.
const BLOCK: usize = 256;

/// Encodes a map from characters to their replacements as base64.
pub(super) fn encode(map: &[(char, String)]) -> String {
    let mut replacements = Vec::new();
    let mut root = Node::default();
    for (from, to) in map {
        let mut utf8 = [0; 4];
        let node =
            from.encode_utf8(&mut utf8).bytes().fold(&mut root, |node, byte| node.children.entry(byte).or_default());
        node.value = Some(replacements.len() as u32);
        replacements.extend(to.bytes().chain([0]));
    }
    let units = Builder::default().build(&root);
    let mut bytes = ((units.len() * 4) as u32).to_le_bytes().to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.extend(replacements);
    base64(&bytes)
}

#[derive(Default)]
struct Node {
    value: Option<u32>,
    children: BTreeMap<u8, Node>,
}

#[derive(Default)]
struct Builder {
    units: Vec<u32>,
    used: Vec<bool>,
    /// Two nodes with their children at one place would answer for each other's.
    places: HashSet<usize>,
    /// Below this every unit is taken.
    first_free: usize,
}

impl Builder {
    fn build(mut self, root: &Node) -> Vec<u32> {
        self.grow();
        self.used[0] = true;
        let mut queue = VecDeque::from([(0, root)]);
        while let Some((at, node)) = queue.pop_front() {
            let place = self.place(node);
            self.units[at] |= ((at ^ place) as u32) << 10;
            if let Some(value) = node.value {
                self.units[at] |= LEAF;
                self.units[place] = VALUE | value;
                self.used[place] = true;
            }
            for (byte, child) in &node.children {
                let at = place ^ usize::from(*byte);
                self.units[at] = u32::from(*byte);
                self.used[at] = true;
                queue.push_back((at, child));
            }
        }
        self.units
    }

    /// The first place where all of a node's children find a free unit.
    fn place(&mut self, node: &Node) -> usize {
        while self.used.get(self.first_free).is_some_and(|used| *used) {
            self.first_free += 1;
        }
        let labels = || node.value.map(|_| 0).into_iter().chain(node.children.keys().copied()).map(usize::from);
        let block = self.first_free / BLOCK * BLOCK;
        let fits = |builder: &Self, place: usize| {
            !builder.places.contains(&place) && labels().all(|label| !builder.used[place ^ label])
        };
        let place = (block..self.units.len()).find(|place| fits(self, *place)).unwrap_or_else(|| {
            self.grow();
            self.units.len() - BLOCK
        });
        self.places.insert(place);
        place
    }

    fn grow(&mut self) {
        self.units.resize(self.units.len() + BLOCK, 0);
        self.used.resize(self.units.len(), false);
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = group >> (18 - 6 * digit) & 63;
            text.push(if digit <= chunk.len() { DIGITS[index as usize].into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokenizers::{NormalizedString, Normalizer, normalizers::Precompiled};

    use super::*;

    fn read(map: &[(char, String)]) -> Precompiled {
        let map = json!({ "type": "Precompiled", "precompiled_charsmap": encode(map) });
        serde_json::from_str(&map.to_string()).unwrap()
    }

    fn normalise(map: &Precompiled, text: &str) -> String {
        let mut normalised = NormalizedString::from(text);
        map.normalize(&mut normalised).unwrap();
        normalised.get().to_owned()
    }

    #[test]
    fn the_tokenizers_library_reads_the_map_back() {
        let map: Vec<_> = [('\u{1}', ""), ('\t', " "), ('ª', "a"), ('…', "..."), ('㎏', "kg"), ('！', "!"), ('𝐀', "A")]
            .map(|(from, to)| (from, to.to_owned()))
            .into();
        assert_eq!(normalise(&read(&map), "a\u{1}b\tª… 5㎏！𝐀𝐁 你好"), "ab a... 5kg!A𝐁 你好");
    }

    #[test]
    fn thousands_of_characters_keep_apart() {
        let map: Vec<_> =
            (0x4e00..0x6e00).step_by(3).filter_map(char::from_u32).map(|c| (c, format!("<{}>", c as u32))).collect();
        let map = read(&map);
        for code in (0x4e00..0x6e00).step_by(7) {
            let character = char::from_u32(code).unwrap();
            let expected = if (code - 0x4e00) % 3 == 0 { format!("<{code}>") } else { character.to_string() };
            assert_eq!(normalise(&map, &character.to_string()), expected);
        }
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
