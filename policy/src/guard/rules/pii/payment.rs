//! How people pay.

use super::super::{Check, Context, Edge, Rule, Set, checks::payment};

pub(super) static RULES: &[Rule] = &[
    Rule::new(
        Set::Pii,
        "credit-card",
        "credit-card",
        "number of a payment card",
        r"[1-9][0-9]{3}(?:[ -]?[0-9]{4}){2}(?:[ -]?[0-9]{1,7})|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}|(?:[1-9][0-9]{3}|0604)[0-9]{8,15}",
        &[
            "card «4111 1111 1111 1111»,",
            "«5555-5555-5555-4444»",
            "«378282246310005»",
            "«3782 822463 10005».",
            "«6011111111111117»",
            "«30569309025904»",
            "«3530111333300000»",
            "«2223003122003222»",
            "«6759649826438453»",
            "«6200000000000005»",
            "«630427373398»",
            "«060400339630»",
        ],
        &[
            "4111 1111 1111 1112",
            "1234567890123452",
            "41111111",
            "id 4111111111111111x",
            "0000 0000 0000 0000",
            "4111-1111-1111-1111-1",
        ],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Of("issuer, length, Luhn", payment::card)),
    Rule::new(
        Set::Pii,
        "iban",
        "iban",
        "international bank account number",
        r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?",
        &[
            "IBAN «DE89 3704 0044 0532 0130 00».",
            "«GB29NWBK60161331926819»",
            "to «FR1420041010050500013M02606» now",
            "«NL91abna0417164300»",
            "«NO93 8601 1117 947»",
            "«MT84 MALT 0110 0001 2345 MTLC AST0 01S»",
        ],
        &["DE89 3704 0044 0532 0130 01", "XX89 3704 0044 0532 0130 00", "DE89 3704 0044", "GB29NWBK60161331926818"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Of("length of the country, mod 97", payment::iban)),
    Rule::new(
        Set::Pii,
        "iban",
        "iban-named",
        "international bank account number in lower case, where a word says so",
        r"[a-z]{2}[0-9]{2}(?:[ -]?[a-z0-9]{4}){2,7}(?:[ -]?[a-z0-9]{1,3})?",
        &["iban: «nl91abna0417164300»", "my bank account is «de89 3704 0044 0532 0130 00»"],
        &["nl91abna0417164300", "iban: nl91abna0417164301"],
    )
    .context(Context::Near(&["iban", "bank", "account", "konto", "compte", "cuenta", "conto", "rekening", "transfer"]))
    .check(Check::Of("length of the country, mod 97", payment::iban)),
];
