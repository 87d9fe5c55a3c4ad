//! Numbers that states of Africa, Asia and the Pacific know people by.

use super::{
    super::{Check, Context, Edge, Rule, Set, checks::asia_pacific},
    id,
};

pub(super) static RULES: &[Rule] = &[
    id(
        "in-aadhaar",
        "India: Aadhaar",
        r"[2-9][0-9]{3} [0-9]{4} [0-9]{4}|[2-9][0-9]{3}-[0-9]{4}-[0-9]{4}",
        ("Verhoeff", asia_pacific::in_aadhaar),
        &["Aadhaar «2341 2341 2346»", "«2341-2341-2346»."],
        &["2341 2341 2347", "1341 2341 2346", "4111 2341 2341 2346"],
    )
    .context(Context::NotBehind(&["0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "6 ", "7 ", "8 ", "9 "])),
    Rule::new(
        Set::Pii,
        "in-aadhaar",
        "in-aadhaar-named",
        "India: Aadhaar without spaces, where a word says so",
        r"[2-9][0-9]{11}",
        &["Aadhaar: «234123412346»", "UIDAI «234123412346»"],
        &["234123412346", "Aadhaar: 234123412347"],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::Near(&["aadhaar", "aadhar", "adhaar", "uidai", "uid", "आधार"]))
    .check(Check::Of("Verhoeff", asia_pacific::in_aadhaar)),
    id(
        "in-pan",
        "India: PAN",
        r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]",
        ("kind of person", asia_pacific::in_pan),
        &["PAN «AFZPK7190K»."],
        &["AFZXK7190K", "AFZPK0000K", "AFZPK7190", "xAFZPK7190K"],
    ),
    id(
        "au-tfn",
        "Australia: Tax File Number, where a word says so",
        r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}",
        ("mod 11", asia_pacific::au_tfn),
        &["TFN: «123 456 782»", "tax file number «123456782»"],
        &["123 456 782", "TFN: 123 456 783"],
    )
    .context(Context::Near(&["tfn", "tax file number", "tax file"])),
    id(
        "au-medicare",
        "Australia: Medicare card, where a word says so",
        r"[2-6][0-9]{3} ?[0-9]{5} ?[0-9](?:[ /-]?[1-9])?",
        ("mod 10", asia_pacific::au_medicare),
        &["Medicare: «2123 45670 1»", "medicare card «2123456701»"],
        &["2123 45670 1", "Medicare: 2123 45671 1"],
    )
    .context(Context::Near(&["medicare"])),
    id(
        "jp-my-number",
        "Japan: My Number, where a word says so",
        r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}",
        ("mod 11", asia_pacific::jp_my_number),
        &["マイナンバー: «1234 5678 9018»", "My Number «123456789018»", "個人番号は«123456789018»"],
        &["1234 5678 9018", "My Number 1234 5678 9019"],
    )
    .context(Context::Near(&["my number", "mynumber", "マイナンバー", "個人番号", "individual number"])),
    id(
        "kr-rrn",
        "Korea: resident registration number",
        r"[0-9]{2}[01][0-9][0-3][0-9]-[1-8][0-9]{6}",
        ("date", asia_pacific::kr_rrn),
        &["주민등록번호 «850901-1234567»"],
        &["851301-1234567", "850901-9234567", "850901-12345678"],
    ),
    id(
        "cn-ric",
        "China: resident identity card",
        r"[1-8][0-9]{5}(?:18|19|20)[0-9]{2}[01][0-9][0-3][0-9][0-9]{3}[0-9Xx]",
        ("date, mod 11,2", asia_pacific::cn_ric),
        &["身份证«11010519491231002X»", "«440524188001010014»."],
        &["110105194912310021", "11010519491331002X", "11010519491231002"],
    ),
    id(
        "sg-nric",
        "Singapore: NRIC, FIN",
        r"[STFGMstfgm][0-9]{7}[A-Za-z]",
        ("mod 11", asia_pacific::sg_nric),
        &["NRIC «S1234567D»", "«G1234567X»."],
        &["S1234567A", "A1234567D", "S123456D"],
    ),
    id(
        "za-id",
        "South Africa: identity number",
        r"[0-9]{2}[01][0-9][0-3][0-9] ?[0-9]{4} ?[0-2][0-9]{2}",
        ("date, Luhn", asia_pacific::za_id),
        &["ID «8001015009087»", "«800101 5009 087»."],
        &["8001015009088", "8013015009087", "800101500908"],
    ),
    id(
        "hk-id",
        "Hong Kong: identity card",
        r"[A-Z]{1,2}[0-9]{6}\([0-9A]\)",
        ("mod 11", asia_pacific::hk_id),
        &["HKID «A123456(3)»", "«AB987654(3)»"],
        &["A123456(4)", "A12345(3)"],
    )
    .edges(Edge::Number, Edge::Open),
    id(
        "tw-id",
        "Taiwan: national identity number",
        r"[A-Za-z][1289][0-9]{8}",
        ("mod 10", asia_pacific::tw_id),
        &["身分證«A123456789»"],
        &["A123456788", "A323456789"],
    ),
    id(
        "th-id",
        "Thailand: identity card",
        r"[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]|[1-8] [0-9]{4} [0-9]{5} [0-9]{2} [0-9]",
        ("mod 11", asia_pacific::th_id),
        &["«1-2345-67890-12-1»"],
        &["1-2345-67890-12-2"],
    ),
    id(
        "il-id",
        "Israel: identity number, where a word says so",
        r"[0-9]{8}-?[0-9]",
        ("Luhn", asia_pacific::il_id),
        &["תעודת זהות: «123456782»", "teudat zehut «12345678-2»"],
        &["123456782", "teudat zehut 123456783"],
    )
    .context(Context::Near(&["teudat zehut", "תעודת זהות", "ת.ז", "ת\"ז", "מספר זהות"])),
    id(
        "nz-ird",
        "New Zealand: IRD number, where a word says so",
        r"[0-9]{2,3}[ -]?[0-9]{3}[ -]?[0-9]{3}",
        ("mod 11", asia_pacific::nz_ird),
        &["IRD number «49-091-850»", "IRD: «136410132»"],
        &["49-091-850", "IRD: 49-091-851"],
    )
    .context(Context::Near(&["ird", "ird number", "inland revenue"])),
];
