//! A language model's tokens as bytes: what the grammar and the text stream see of a tokenizer.

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A piece of text.
    Text,
    /// Ends a reply.
    End,
    /// Any other control token; it is never text and never drawn.
    Control,
}

/// The tokens of a model, by id.
///
/// A text token is any run of bytes: it may begin or end in the middle of a character.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    kinds: Vec<TokenKind>,
}

impl Vocabulary {
    /// Adds the next token.
    pub fn push(&mut self, bytes: &[u8], kind: TokenKind) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
        self.kinds.push(kind);
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// A token's bytes; none for an id outside the vocabulary.
    pub fn bytes(&self, token: u32) -> &[u8] {
        let token = token as usize;
        let Some(&end) = self.ends.get(token) else { return &[] };
        let start = if token == 0 { 0 } else { self.ends[token - 1] };
        &self.bytes[start..end]
    }

    /// What a token is for; ids outside the vocabulary are control tokens.
    pub fn kind(&self, token: u32) -> TokenKind {
        self.kinds.get(token as usize).copied().unwrap_or(TokenKind::Control)
    }

    /// Changes what a token is for.
    pub fn set_kind(&mut self, token: u32, kind: TokenKind) {
        if let Some(entry) = self.kinds.get_mut(token as usize) {
            *entry = kind;
        }
    }

    /// All tokens in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8], TokenKind)> {
        (0..self.len() as u32).map(|token| (token, self.bytes(token), self.kind(token)))
    }

    /// The text of some tokens, control tokens left out, bytes that are no text replaced.
    pub fn text(&self, tokens: &[u32]) -> String {
        let texts = tokens.iter().filter(|&&token| self.kind(token) == TokenKind::Text);
        let bytes: Vec<u8> = texts.flat_map(|&token| self.bytes(token)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl<'a> FromIterator<(&'a [u8], TokenKind)> for Vocabulary {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], TokenKind)>>(tokens: I) -> Self {
        let mut vocabulary = Self::default();
        tokens.into_iter().for_each(|(bytes, kind)| vocabulary.push(bytes, kind));
        vocabulary
    }
}
