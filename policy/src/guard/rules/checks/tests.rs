//! Checksums against the examples that their authorities publish, and against every single wrong digit.

use super::{
    americas, asia_pacific,
    digits::{ean13, is_date, luhn, mod_11_10, verhoeff},
    entropy, europe, payment, tokens,
};

/// The number passes, and does not with any one digit changed (where the checksum promises that).
fn check(passes: fn(&[u8]) -> bool, number: &str) {
    assert!(passes(number.as_bytes()), "{number}");
    for (at, byte) in number.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        for other in (b'0'..=b'9').filter(|other| *other != byte) {
            let mut wrong = number.as_bytes().to_vec();
            wrong.splice(at..=at, [other]);
            assert!(!passes(&wrong), "{number} passes as {}", String::from_utf8_lossy(&wrong));
        }
    }
}

#[test]
fn one_wrong_digit_is_noticed() {
    check(payment::card, "4111111111111111");
    check(payment::iban, "DE89370400440532013000");
    check(europe::de_steuer_id, "86095742719");
    check(europe::ch_ahv, "756.9217.0769.85");
    check(europe::es_dni, "12345678Z");
    check(europe::nl_bsn, "111222333");
    check(europe::be_rrn, "85.07.30-033.28");
    check(europe::pl_pesel, "44051401359");
    check(europe::se_personnummer, "811228-9874");
    check(europe::fi_hetu, "131052-308T");
    check(europe::no_fodselsnummer, "01010050053");
    check(europe::uk_nhs, "9434765919");
    check(europe::hr_oib, "33392005961");
    check(europe::cz_rodne_cislo, "736028/5163");
    check(americas::ca_sin, "130692544");
    check(americas::br_cpf, "529.982.247-25");
    check(asia_pacific::in_aadhaar, "234123412346");
    check(asia_pacific::au_tfn, "123456782");
    check(asia_pacific::cn_ric, "11010519491231002X");
    check(asia_pacific::za_id, "8001015009087");
    check(asia_pacific::il_id, "123456782");
}

#[test]
fn checksums_are_those_that_everybody_computes() {
    assert!(luhn(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 3]) && !luhn(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 0]) && !luhn(&[]));
    assert!(verhoeff(&[2, 3, 6, 3]) && !verhoeff(&[2, 6, 3, 3]));
    assert!(mod_11_10(&[0, 7, 9, 4, 5]) && !mod_11_10(&[]));
    assert!(ean13(&[4, 0, 0, 6, 3, 8, 1, 3, 3, 3, 9, 3, 1]) && !ean13(&[]));
    // CRC-32 of `123456789` is 0xcbf43926, the check value of every catalogue.
    assert_eq!(tokens::checksum(b"123456789"), base62(0xcbf4_3926));
    assert!(!tokens::ends_in_its_checksum(b"short", 99));
}

fn base62(mut number: u64) -> String {
    let digits: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    let mut text = String::new();
    for _ in 0..6 {
        text.insert(0, digits.get((number % 62) as usize).copied().unwrap_or('0'));
        number /= 62;
    }
    text
}

#[test]
fn dates_are_those_of_the_calendar() {
    assert!(is_date(2024, 2, 29) && !is_date(2023, 2, 29) && !is_date(1900, 2, 29) && is_date(2000, 2, 29));
    assert!(is_date(0, 12, 31) && !is_date(0, 4, 31) && !is_date(0, 0, 1) && !is_date(0, 13, 1) && !is_date(0, 1, 0));
}

#[test]
fn entropy_tells_random_text_from_the_rest() {
    assert!(entropy(b"") == 0.0 && entropy(b"aaaa") == 0.0);
    assert!((entropy(b"abcd") - 2.0).abs() < 1e-6);
    assert!(entropy(b"0123456789abcdef") > 3.9);
}

#[test]
fn a_password_is_told_from_what_stands_for_one() {
    for text in ["hunter2", "correct-horse", "p4ssw0rd!x"] {
        assert!(tokens::password(text.as_bytes()), "{text}");
    }
    for text in [
        "$PASSWORD",
        "${pw}",
        "<password>",
        "password",
        "PASS_WORD",
        "xxxxxx",
        "your-password",
        "****",
        "changeme",
        "ab",
    ] {
        assert!(!tokens::password(text.as_bytes()), "{text}");
    }
}
