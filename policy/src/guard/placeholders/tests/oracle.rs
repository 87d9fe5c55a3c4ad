//! What a restored text is, by definition.

/// Placeholders and their values.
pub(super) struct Oracle(Vec<(String, String)>);

/// What a text is, read as a placeholder from its beginning.
enum Reading {
    /// One, of so many bytes.
    Whole(usize),
    /// One if the right bytes follow.
    Beginning,
    Other,
}

impl Oracle {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// What a text becomes as far as that is certain, and how many bytes of it are not.
    pub(super) fn read(&self, text: &[u8]) -> (Vec<u8>, usize) {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let readings =
                self.0.iter().map(|(placeholder, value)| (reading(placeholder.as_bytes(), &text[at..]), value));
            let mut is_beginning = false;
            let whole = readings.into_iter().find_map(|(reading, value)| {
                is_beginning |= matches!(reading, Reading::Beginning);
                if let Reading::Whole(length) = reading { Some((length, value)) } else { None }
            });
            match whole {
                Some((length, value)) => {
                    out.extend_from_slice(value.as_bytes());
                    at += length;
                }
                None if is_beginning => return (out, text.len() - at),
                None => {
                    out.push(text[at]);
                    at += 1;
                }
            }
        }
        (out, 0)
    }

    /// What a text becomes that is over.
    pub(super) fn whole(&self, text: &[u8]) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let (said, undecided) = self.read(&text[at..]);
            out.extend(said);
            at = text.len() - undecided;
            if undecided > 0 {
                out.push(text[at]);
                at += 1;
            }
        }
        out
    }
}

/// Tries each spelling of each byte.
fn reading(placeholder: &[u8], text: &[u8]) -> Reading {
    let Some((letter, rest)) = placeholder.split_first() else { return Reading::Whole(0) };
    let spellings: &[&[u8]] = match letter {
        b'<' => &[b"<", b"&lt;"],
        b'>' => &[b">", b"&gt;"],
        b'_' => &[b"_", b"\\_"],
        letter => &[&[*letter]],
    };
    let mut is_beginning = false;
    for spelling in spellings {
        let length = spelling.len().min(text.len());
        if !text[..length].eq_ignore_ascii_case(&spelling[..length]) {
            continue;
        }
        if length < spelling.len() {
            is_beginning = true;
            continue;
        }
        match reading(rest, &text[length..]) {
            Reading::Whole(more) => return Reading::Whole(length + more),
            Reading::Beginning => is_beginning = true,
            Reading::Other => {}
        }
    }
    if is_beginning { Reading::Beginning } else { Reading::Other }
}
