//! Personal data that is written so that people read it and patterns do not. A rule here begins as the plain one does and goes
//! on with a character that the plain one does not take, so that ordinary text waits for none of them.

use super::{
    super::{Context, Edge, Rule, checks::disguise},
    number,
};

/// The longest value in disguise, in bytes: up to four of them for each character that is seen.
const DISGUISED_BYTES_MAX: usize = 160;

/// What is not shown, or stands for a space or a hyphen: see [`disguise`].
macro_rules! odd {
    () => {
        r"(?:\xc2[\xa0\xad]|\xe2\x80[\x80-\x95\xaf]|\xe2\x81\xa0|\xe2\x88\x92|\xe3\x80\x80|\xef\xbb\xbf|%20)"
    };
}

/// A digit of another script.
macro_rules! foreign {
    () => {
        r"(?:\xef\xbc[\x90-\x99]|\xd9[\xa0-\xa9]|\xdb[\xb0-\xb9]|\xe0\xa5[\xa6-\xaf]|\xf0\x9d\x9f[\x8e-\xbf])"
    };
}

/// What the eye does not see.
macro_rules! unseen {
    () => {
        r"(?:\xc2\xad|\xe2\x80[\x8b-\x8f]|\xe2\x81\xa0|\xef\xbb\xbf)"
    };
}

pub(super) static RULES: &[Rule] = &[
    number(
        "credit-card",
        "credit-card-disguised",
        "number of a payment card in disguise, or with each digit alone",
        concat!(
            "(?:(?:[0-9]{1,16}|[0-9]{4}(?:[ -][0-9]{4}){1,3})",
            odd!(),
            "|[0-9]{0,16}",
            foreign!(),
            ")(?:(?:",
            odd!(),
            "|[ -]){0,3}(?:[0-9]|",
            foreign!(),
            "))+|[0-9](?:[ .-][0-9]){11,18}",
        ),
        ("issuer, length, Luhn", disguise::card),
        &[
            "«4\u{200b}1\u{200b}1\u{200b}1111111111111»",
            "«4111\u{a0}1111\u{a0}1111\u{a0}1111»",
            "«4111 1111\u{ad} 1111 1111»",
            "«４１１１１１１１１１１１１１１１»",
            "«4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1»",
            "card=«4111%201111%201111%201111»&",
        ],
        &["4\u{200b}111111111111112", "1 2 3 4 5 6 7 8 9 10 11 12 13", "in 2015\u{a0}4111", "１２３"],
    )
    .cut(DISGUISED_BYTES_MAX),
    number(
        "us-ssn",
        "us-ssn-disguised",
        "United States: Social Security number in disguise",
        concat!(
            "(?:(?:[0-9]{1,3}|[0-9]{3}[ -](?:[0-9]{0,2}|[0-9]{2}[ -][0-9]{0,3}))",
            odd!(),
            "|[0-9]{0,3}",
            foreign!(),
            ")(?:(?:",
            odd!(),
            "|[ -]){0,3}(?:[0-9]|",
            foreign!(),
            "))+",
        ),
        ("three groups, areas that are given out", disguise::us_ssn),
        &[
            "«219\u{2011}09\u{2011}9999»",
            "«219-0\u{200b}9-9999»",
            "«2\u{200b}19-09-9999»",
            "«219-09-\u{200b}9999»",
            "«２１９-０９-９９９９»",
        ],
        &["219\u{2011}099\u{2011}999", "000\u{2011}12\u{2011}3456", "219\u{2013}240 09"],
    )
    .cut(DISGUISED_BYTES_MAX),
    number(
        "iban",
        "iban-disguised",
        "international bank account number in disguise",
        concat!("[A-Z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){0,30}", odd!(), "(?:(?:", odd!(), "|[ -]){0,3}[A-Za-z0-9])+",),
        ("length of the country, mod 97", disguise::iban),
        &[
            "IBAN «DE89\u{a0}3704\u{a0}0044\u{a0}0532\u{a0}0130\u{a0}00».",
            "«GB29NWBK\u{200b}60161331926819»",
            "«DE89 3704\u{200b} 0044 0532 0130 00»",
            "iban=«DE89%203704%200044%200532%200130%2000»",
        ],
        &["DE89\u{a0}3704\u{a0}0044\u{a0}0532\u{a0}0130\u{a0}01", "A4\u{a0}paper", "ISO27\u{a0}001 is long"],
    )
    .cut(DISGUISED_BYTES_MAX)
    .edges(Edge::Word, Edge::Word),
    number(
        "phone",
        "phone-disguised",
        "telephone number with a country code in disguise",
        concat!(
            r"(?:\+|\xef\xbc\x8b)(?:[ .()/-]{0,3}[0-9]){0,14}[ .()/-]{0,2}(?:",
            odd!(),
            "|",
            foreign!(),
            ")(?:(?:",
            odd!(),
            "|[ .()/-]){0,3}(?:[0-9]|",
            foreign!(),
            "))+",
        ),
        ("plan of the country code", disguise::international),
        &[
            "«+33\u{a0}1\u{a0}42\u{a0}68\u{a0}53\u{a0}00»",
            "«+1\u{200b}415\u{200b}555\u{200b}2671»",
            "«+４４２０７９４６０９５８»",
        ],
        &["+999\u{a0}12345678", "+5\u{a0}% more", "C++\u{a0}11"],
    )
    .cut(DISGUISED_BYTES_MAX)
    .context(Context::NotBehind(&["+", ")", "utc", "gmt", "$", "e"])),
    number(
        "email",
        "email-disguised",
        "e-mail address with characters in it that are not seen, or with its sign escaped",
        concat!(
            "(?:[A-Za-z0-9._%+-]|",
            unseen!(),
            ")*(?:",
            unseen!(),
            "(?:[A-Za-z0-9._%+-]|",
            unseen!(),
            r")*(?:@|%40|\xef\xbc\xa0)|[A-Za-z0-9._%+-](?:%40|\xef\xbc\xa0|@",
            unseen!(),
            "))(?:(?:[A-Za-z0-9-]|",
            unseen!(),
            r")+\.)+(?:[A-Za-z]|",
            unseen!(),
            ")+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+",
            unseen!(),
            "(?:[A-Za-z0-9.-]|",
            unseen!(),
            ")*[A-Za-z]",
        ),
        ("lengths of RFC 5321", disguise::email),
        &[
            "mail «ann\u{200b}.smith@corp.example» now",
            "to=«ann%40corp.example»&",
            "«ann＠corp.example»",
            "«ann@\u{200b}corp.example»",
            "«ann@corp.exa\u{200b}mple»",
        ],
        &["100%40 of them", "ann\u{200b}smith.example", "ann＠corp"],
    )
    .cut(320)
    .edges(Edge::Mailbox, Edge::Host),
];
