//! How people and their machines are reached, and when they were born.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::super::{
    Check, Context, Edge, Rule, Set,
    checks::{europe, network, phone},
};

/// What a telephone number is called: behind these, any digits in the shape of one are one.
const PHONE_NOUNS: &[&str] = &[
    "phone",
    "phones",
    "telephone",
    "tel",
    "telefon",
    "telefono",
    "teléfono",
    "telefone",
    "téléphone",
    "telefoon",
    "telefonnummer",
    "mobile",
    "mobil",
    "móvil",
    "mobiltelefon",
    "handy",
    "cell",
    "cellphone",
    "fax",
    "sms",
    "whatsapp",
    "rufnummer",
    "puhelin",
    "numéro",
    "hotline",
    "helpline",
    "cellulare",
    "komórka",
    "celular",
    "desk",
    "电话",
    "電話",
    "手机",
    "전화",
];

/// What people do with one. These are ordinary words too, so the digits behind them must be a number of some plan.
const PHONE_VERBS: &[&str] = &[
    "call",
    "calling",
    "dial",
    "text",
    "signal",
    "contact",
    "reach",
    "ring",
    "portable",
    "my number is",
    "answering at",
    "message to",
    "messages to",
    "registered",
];

/// What a birthday is called.
const BIRTH_NOUNS: &[&str] = &[
    "date of birth",
    "dob",
    "d.o.b",
    "birth date",
    "birthdate",
    "birthday",
    "geburtsdatum",
    "geb",
    "naissance",
    "nacimiento",
    "nascita",
    "nascimento",
    "geboortedatum",
    "urodzenia",
    "生年月日",
    "出生日期",
    "생년월일",
];

/// What is said of people who were born.
const BIRTH_VERBS: &[&str] = &[
    "born", "geboren", "né", "née", "nacido", "nacida", "nato", "nata", "född", "født", "syntynyt", "urodzony",
    "urodzona",
];

/// What is said of other days than that.
const OTHER_DAYS: &[&str] = &["th birthday", "on or after", "on or before", "died"];

/// What each of these words has in it: most text has none of it, and is not looked at any closer.
static BIRTH_STEMS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let stems = r"born|birth|dob|d\.o\.b|geb|n\xc3\xa9|nac|nat[oa]|nasc|naiss|f\xc3|syntyn|urodz|\xe7\x94\x9f\xe5|\xe5\x87\xba|\xec\x83\x9d";
    RegexBuilder::new(stems).unicode(false).case_insensitive(true).build().ok()
});

/// How far before a date its word stands, in bytes.
const BIRTH_BYTES_MAX: usize = 48;

/// A word for birth stands near. A verb counts only in the same sentence, and not within brackets: `(born June 6, 1947)` is how
/// encyclopaedias write of people who are known for more than that.
fn tells_a_birthday(window: &[u8]) -> bool {
    let near = window.get(window.len().saturating_sub(BIRTH_BYTES_MAX)..).unwrap_or(window);
    if BIRTH_STEMS.as_ref().is_some_and(|stems| !stems.is_match(near)) {
        return false;
    }
    let ends = |pair: &[u8]| matches!(pair, [b'(' | b')' | b';', _] | [b'.', b' ' | b'\n']);
    let clause = near.windows(2).rposition(ends).and_then(|at| near.get(at..)).unwrap_or(near);
    let in_brackets = window.iter().rfind(|byte| matches!(byte, b'(' | b')')) == Some(&b'(');
    let is_other = OTHER_DAYS
        .iter()
        .any(|words| near.windows(words.len()).any(|part| part.eq_ignore_ascii_case(words.as_bytes())));
    !is_other && (Context::Near(BIRTH_NOUNS).holds(near) || !in_brackets && Context::Near(BIRTH_VERBS).holds(clause))
}

pub(super) static RULES: &[Rule] = &[
    Rule::new(
        Set::Pii,
        "email",
        "email",
        "e-mail address",
        r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}",
        &[
            "mail «ann.smith+x@mail.corp.example», please",
            "<«a@b.co»>",
            "«o_neill%test@sub.example.org».",
            "mailto:«x@example.com»?subject=a",
        ],
        &["a@b", "@handle", "a..b@example.com", "user@localhost", "icon@2x.png", "a@-b.example", "git@"],
    )
    .edges(Edge::Mailbox, Edge::Host)
    .cut(254)
    .check(Check::Of("lengths of RFC 5321", network::email)),
    Rule::new(
        Set::Pii,
        "email-domain",
        "email-domain",
        "domain of an e-mail address, whose local part shows: nothing is held for words that may become addresses",
        r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}",
        &["mail ann.smith+x@«mail.corp.example», please", "<a@«b.co»>", "o_neill%test@«sub.example.org»."],
        &["a@b", "@handle.example", "corp.example", "user@localhost", "icon@2x.png", "a@-b.example", "git@"],
    )
    .context(Context::Other("the local part and `@`", |last| last.ends_with(b"@"), network::is_behind_local_part))
    .edges(Edge::Open, Edge::Host)
    .cut(254)
    .check(Check::Of("lengths of RFC 5321", network::email_domain)),
    Rule::new(
        Set::Pii,
        "phone",
        "phone-international",
        "telephone number with a country code",
        r"(?:\+|00)[1-9](?:[ .()/-]{0,3}[0-9]){5,15}",
        &[
            "call «+49 (0) 30 901820»",
            "«+1-415-555-2671»",
            "tel:«+442079460958»",
            "«+33 1 42 68 53 00»,",
            "dial «0049 30 901820» or",
        ],
        &["+999 12345678", "+1 115 555 2671", "C++11 1234567", "1+1234567890", "+49 1", "0012345", "+11111111111"],
    )
    .edges(Edge::Number, Edge::Word)
    .context(Context::NotBehind(&["+", ")", "utc", "gmt", "$", "e"]))
    .check(Check::Of("plan of the country code", phone::international)),
    Rule::new(
        Set::Pii,
        "phone",
        "phone-north-american",
        "telephone number of the North American plan",
        r"(?:(?:\+|00)?1[ .-]?)?(?:\([2-9][0-9]{2}\)[ .-]?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}(?:[ ]?(?:x|ext\.? ?)[0-9]{1,5})?",
        &[
            "«(415) 555-2671»",
            "at «415-555-2671» or",
            "«415.555.2671x123»",
            "«001-415-555-2671»",
            "«1-800-356-9377».",
        ],
        &["(415) 055-2671", "911-555-0100", "415 555", "2024-415-2671", "111-222-3333", "415-555-26711"],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Of("area and exchange codes", phone::north_american)),
    Rule::new(
        Set::Pii,
        "phone",
        "phone-french",
        "telephone number as it is written in France",
        r"0[1-9](?:[ .-][0-9]{2}){4}",
        &["au «01 42 68 53 00»", "«06.12.34.56.78»"],
        &["01 42 68 53", "00 42 68 53 00", "01 42 68 53 001"],
    )
    .edges(Edge::Number, Edge::Name),
    Rule::new(
        Set::Pii,
        "phone",
        "phone-british",
        "telephone number as it is written in the United Kingdom",
        r"\(?0(?:20\)? [0-9]{4} [0-9]{4}|1[0-9]{2,3}\)? [0-9]{3} [0-9]{3,4}|7[0-9]{3} [0-9]{6}|7[0-9]{3} [0-9]{3} [0-9]{3}|[38][0-9]{2} [0-9]{3} [0-9]{4})",
        &["on «020 7946 0958».", "«(0117) 496 0123»", "«07700 900123»", "«0800 496 0123»"],
        &["0207946", "020 79460958 1", "07700 90012"],
    )
    .edges(Edge::Number, Edge::Name),
    Rule::new(
        Set::Pii,
        "phone",
        "phone-named",
        "telephone number of any plan, behind a word for one",
        r"[(+]?[0-9](?:[ .()/-]{0,3}[0-9]){6,14}(?: ?(?:x|ext\.? ?)[0-9]{1,5})?",
        &[
            "Phone: «030 901820»",
            "Tel. «089/1234567»",
            "mein Handy ist «0171 1234567»",
            "telefone «11 91234-5678»",
            "电话«010-12345678»",
            "Mobile: «24-42-46-23»",
        ],
        &[
            "phone 2024-05-17",
            "fax 192.168.100.200",
            "fax 192.0.2.0/24",
            "tel 00000000",
            "invoice 030 901820",
            "hotel 1234567",
            "the telephone (1989-1993)",
            "mobile sales 2011--2014",
        ],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::Near(PHONE_NOUNS))
    .check(Check::Of("seven to thirteen digits, no date", phone::called_one)),
    Rule::new(
        Set::Pii,
        "phone",
        "phone-dialled",
        "telephone number in its national form, behind a word for what people do with one",
        r"[(+]?[0-9](?:[ .()/-]{0,3}[0-9]){6,14}(?: ?(?:x|ext\.? ?)[0-9]{1,5})?",
        &[
            "call me: «4155552671»",
            "They're not answering at «0494 92 82 32»",
            "stop messages to «699 956 915»",
            "Can someone call me on «9472 7916»?",
            "call «455 6186»",
        ],
        &[
            "call 192.168.100.200",
            "text of 1 000 000 words",
            "text 1.2.840.113549.1.1",
            "call 1234",
            "contact sport, 1972-1973",
            "calling 136 S.Ct. 1557 (2016)",
            "text 1234567",
        ],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::Near(PHONE_VERBS))
    .check(Check::Of("a plan that has such numbers, no date", phone::dialled)),
    Rule::new(
        Set::Pii,
        "ip-address",
        "ipv4",
        "IPv4 address",
        r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
        &["from «203.0.113.9».", "http://«10.1.2.3»:80/", "[«192.168.0.12»]"],
        &["127.0.0.1", "0.0.0.0", "1.2.3.400", "1.2.3", "v1.2.3.4", "version 1.2.3.4", "an enzyme (EC 2.7.3.2)", "255.255.255.0"],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::NotBehind(&[
        "version ", "version: ", "section ", "release ", "§", "§ ", "oid ", "ch. ", "chapter ", "clause ", "figure ", "fig. ", "table ",
        " ec ", "(ec ",
    ]))
    .check(Check::Of("an address that may be somebody's", network::ipv4)),
    Rule::new(
        Set::Pii,
        "ip-address",
        "ipv6",
        "IPv6 address",
        r"(?:[0-9A-Fa-f]{1,4}:|::)(?:[0-9A-Fa-f]{0,4}:){1,7}(?:[0-9A-Fa-f]{1,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})?|::(?:[0-9A-Fa-f]{1,4})(?:\.[0-9]{1,3}){0,3}",
        &["from «2001:db8::9».", "[«fe80::a1b2:3»]:443", "«2001:db8:0:1:2:3:4:5»"],
        &["::1", "::", "12:30:45", "a::b", "std::fmt", "10:20", "de::add", "published in 2008::\n"],
    )
    .edges(Edge::Name, Edge::Word)
    .context(Context::NotBehind(&[":", "."]))
    .cut(45)
    .check(Check::Of("an address that may be somebody's", network::ipv6)),
    Rule::new(
        Set::Pii,
        "mac-address",
        "mac-address",
        "hardware address of a network interface",
        r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}",
        &["ether «52:54:00:ab:cd:ef»", "«52-54-00-AB-CD-EF»,", "«5254.00ab.cdef»"],
        &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "52:54:00:ab:cd", "52:54-00:ab:cd:ef"],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::NotBehind(&[":"]))
    .check(Check::Of("not all zeros or ones", network::mac)),
    Rule::new(
        Set::Pii,
        "date-of-birth",
        "date-of-birth",
        "date that a word says is somebody's birthday",
        r"(?:19|20)[0-9]{2}[-/.](?:0[1-9]|1[0-2])[-/.](?:0[1-9]|[12][0-9]|3[01])|(?:0?[1-9]|[12][0-9]|3[01])[-/.] ?(?:0?[1-9]|[12][0-9]|3[01])[-/.] ?(?:19|20)[0-9]{2}|(?:[0-3]?[0-9](?:st|nd|rd|th|\.)? )?(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.? (?:[0-3]?[0-9](?:st|nd|rd|th)?,? )?(?:19|20)[0-9]{2}",
        &[
            "Date of birth: «1984-03-17»",
            "born on «17.03.1984» in",
            "DOB «3/17/1984»",
            "geboren am «17.3.1984»",
            "née le «17/03/1984»",
            "birthday: «17 March 1984»",
            "born «March 17, 1984»",
        ],
        &["released 1984-03-17", "born 1984-13-41", "DOB 9999-99-99", "born in 1984", "stubborn 1984-03-17", "She was born in Rome. On June 2, 1995, she left", "his 90th birthday, March 20, 2018", "born on or after 1 January 1983", "Ann (born March 17, 1984) wrote"],
    )
    .edges(Edge::Name, Edge::Name)
    .context(Context::Other("near a word for birth, outside brackets", |_| true, tells_a_birthday))
    .check(Check::Of("a day of a human life", europe::date_of_birth)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_for_birth_is_overlooked() {
        for word in BIRTH_NOUNS.iter().chain(BIRTH_VERBS) {
            assert!(tells_a_birthday(format!("she, {word} ").as_bytes()), "{word}");
        }
        assert!(!tells_a_birthday(b"released "));
    }
}
