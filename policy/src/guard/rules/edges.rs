//! What may not stand right beside a candidate: one byte of look-behind, and one of look-ahead.

/// A class of bytes that may not stand beside a candidate. The beginning and the end of a text stand beside nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Anything may.
    Open,
    /// No letter of ASCII, no digit, no `_`.
    Word,
    /// None of [`Edge::Word`] and no `-`: for what is often a part of a longer name.
    Name,
    /// None of [`Edge::Name`] and no `.`: for numbers, which are often a part of a longer one.
    Number,
    /// Nothing that may stand in Base64, in either alphabet.
    Base64,
    /// Nothing that may stand in the local part of an e-mail address.
    Mailbox,
    /// Nothing that continues the name of a host: no letter, digit, `-`, `.`, `@` or `:`, nothing beyond ASCII.
    Host,
    /// Nothing that may stand in the authority of a URL.
    Authority,
}

impl Edge {
    /// Whether this byte may stand there; `None` is the beginning or the end of the text.
    pub const fn admits(self, byte: Option<u8>) -> bool {
        match byte {
            Some(byte) => !self.forbids(byte),
            None => true,
        }
    }

    /// Whether this byte may not stand there.
    pub const fn forbids(self, byte: u8) -> bool {
        let word = byte.is_ascii_alphanumeric() || byte == b'_';
        match self {
            Self::Open => false,
            Self::Word => word,
            Self::Name => word || byte == b'-',
            Self::Number => word || matches!(byte, b'-' | b'.'),
            Self::Base64 => word || matches!(byte, b'-' | b'+' | b'/' | b'='),
            Self::Mailbox => word || matches!(byte, b'.' | b'+' | b'-' | b'%') || byte >= 0x80,
            Self::Host => byte.is_ascii_alphanumeric() || matches!(byte, b'-') || byte >= 0x80,
            Self::Authority => !matches!(
                byte,
                0..=b' '
                    | b'/'
                    | b'\\'
                    | b'?'
                    | b'#'
                    | b'"'
                    | b'\''
                    | b'`'
                    | b'<'
                    | b'>'
                    | b'('
                    | b')'
                    | b'|'
                    | b'^'
                    | 0x7f
            ),
        }
    }

    /// Its name on the page of rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "anything",
            Self::Word => "word",
            Self::Name => "name",
            Self::Number => "number",
            Self::Base64 => "base64",
            Self::Mailbox => "mailbox",
            Self::Host => "host",
            Self::Authority => "authority",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_says_which_neighbours_it_refuses() {
        let check = |edge: Edge, refused: &[u8], admitted: &[u8]| {
            for byte in refused {
                assert!(edge.forbids(*byte) && !edge.admits(Some(*byte)), "{edge:?} {byte:#x}");
            }
            for byte in admitted {
                assert!(edge.admits(Some(*byte)), "{edge:?} {byte:#x}");
            }
            assert!(edge.admits(None));
        };
        check(Edge::Open, b"", b"a0_-.\x80 ");
        check(Edge::Word, b"aZ0_", b"-. \"\x80\n");
        check(Edge::Name, b"aZ0_-", b". \x80");
        check(Edge::Number, b"aZ0_-.", b", $\x80");
        check(Edge::Base64, b"aZ0_-+/=", b".,\" ");
        check(Edge::Mailbox, b"aZ0_.+-%\xc3", b"<:, (");
        check(Edge::Host, b"aZ0-\xc3", b". />:");
        check(Edge::Authority, b"aZ0-.@:[]%\xc3", b"/\\?# )>\"'\n\t\0");
    }
}
