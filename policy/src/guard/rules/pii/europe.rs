//! Numbers that European states know people by.

use super::super::{Check, Context, Edge, Rule, Set, checks::europe};

/// A rule for a number, between what cannot belong to it.
const fn id(
    kind: &'static str,
    title: &'static str,
    body: &'static str,
    check: (&'static str, fn(&[u8]) -> bool),
    finds: &'static [&'static str],
    leaves: &'static [&'static str],
) -> Rule {
    Rule::new(Set::Pii, kind, kind, title, body, finds, leaves)
        .edges(Edge::Number, Edge::Name)
        .check(Check::Of(check.0, check.1))
}

pub(super) static RULES: &[Rule] = &[
    id(
        "de-steuer-id",
        "Germany: Steuer-Identifikationsnummer, where a word says so",
        r"[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}",
        ("repeated digit, mod 11,10", europe::de_steuer_id),
        &["Steuer-ID: «86 095 742 719»", "IdNr. «47036892816»", "tax id «65929970489»"],
        &["86 095 742 719", "Steuer-ID: 86 095 742 718", "Steuer-ID: 12345678903", "Steuer-ID 1 234 567"],
    )
    .context(Context::Near(&[
        "steuer-id",
        "steuerid",
        "steuer id",
        "steueridentifikationsnummer",
        "steuer-identifikationsnummer",
        "steuernummer",
        "idnr",
        "id-nr",
        "identifikationsnummer",
        "tin",
        "tax id",
        "tax number",
        "tax identification",
    ])),
    id(
        "at-svnr",
        "Austria: Sozialversicherungsnummer, where a word says so",
        r"[1-9][0-9]{3}[ -]?[0-3][0-9][01][0-9][0-9]{2}",
        ("mod 11, date", europe::at_svnr),
        &["SVNR «1237 010180»", "Sozialversicherungsnummer: «1237010180»"],
        &["1237 010180", "SVNR 1238 010180", "SVNR 1237 320180"],
    )
    .context(Context::Near(&[
        "svnr",
        "sv-nr",
        "sv-nummer",
        "sozialversicherungsnummer",
        "sozialversicherung",
        "versicherungsnummer",
        "social security",
    ])),
    id(
        "ch-ahv",
        "Switzerland: AHV-Nummer",
        r"756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}",
        ("EAN-13", europe::ch_ahv),
        &["AHV «756.9217.0769.85»", "«7569217076985»."],
        &["756.9217.0769.84", "757.9217.0769.85", "756.9217.0769.855"],
    ),
    id(
        "fr-nir",
        "France: numéro d'inscription au répertoire (sécurité sociale)",
        r"[123478] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[ABab]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        ("97 minus mod 97", europe::fr_nir),
        &["n° «2 69 05 49 588 157 80»", "«255081416802538»", "«1 84 12 2A 451 089 33»"],
        &["2 69 05 49 588 157 81", "269054958815", "1 84 17 76 451 089 46"],
    ),
    id(
        "es-dni",
        "Spain: DNI",
        r"[0-9]{8}[ -]?[A-HJ-NP-TV-Za-hj-np-tv-z]",
        ("letter by mod 23", europe::es_dni),
        &["DNI «12345678Z».", "«12345678-Z»"],
        &["12345678A", "1234567Z", "12345678ZZ"],
    ),
    id(
        "es-nie",
        "Spain: NIE",
        r"[XYZxyz][ -]?[0-9]{7}[ -]?[A-HJ-NP-TV-Za-hj-np-tv-z]",
        ("letter by mod 23", europe::es_nie),
        &["NIE «X1234567L»", "«Z-1234567-R»"],
        &["X1234567A", "W1234567L", "X123456L"],
    ),
    id(
        "it-codice-fiscale",
        "Italy: codice fiscale",
        r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]",
        ("mod 26", europe::it_codice_fiscale),
        &["CF «RSSMRA85T10A562S»", "«RSSMRA85T10A562S»,"],
        &["RSSMRA85T10A562T", "RSSMRA85T10A56", "RSSMRA85F10A562S"],
    ),
    id(
        "nl-bsn",
        "Netherlands: burgerservicenummer, where a word says so",
        r"[0-9]{4}[. ]?[0-9]{2}[. ]?[0-9]{3}|[0-9]{3}[. ][0-9]{3}[. ][0-9]{3}",
        ("mod 11", europe::nl_bsn),
        &["BSN: «111222333»", "burgerservicenummer «1234.56.782»", "sofinummer «123456782»"],
        &["111222333", "BSN: 111222334", "BSN: 000000000"],
    )
    .context(Context::Near(&[
        "bsn",
        "burgerservicenummer",
        "burger service nummer",
        "sofinummer",
        "sofi-nummer",
        "citizen service number",
    ])),
    id(
        "be-rrn",
        "Belgium: rijksregisternummer, numéro de registre national",
        r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}[. ][0-9]{2}",
        ("97 minus mod 97", europe::be_rrn),
        &["«85.07.30-033.28»", "RN «85.07.30-033 28»"],
        &["85.07.30-033.29", "85.07.30-033"],
    ),
    Rule::new(
        Set::Pii,
        "be-rrn",
        "be-rrn-named",
        "Belgium: rijksregisternummer without dots, where a word says so",
        r"[0-9]{11}",
        &["rijksregisternummer «85073003328»", "NISS: «85073003328»"],
        &["85073003328", "NISS: 85073003329"],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::Near(&[
        "rijksregisternummer",
        "rijksregister",
        "registre national",
        "niss",
        "insz",
        "national register",
        "nationalregister",
    ]))
    .check(Check::Of("97 minus mod 97", europe::be_rrn)),
    id(
        "pl-pesel",
        "Poland: PESEL, where a word says so",
        r"[0-9]{11}",
        ("date, mod 10", europe::pl_pesel),
        &["PESEL: «44051401359»", "numer ewidencyjny «02070803628»"],
        &["44051401359", "PESEL: 44051401358", "PESEL: 44991401359"],
    )
    .context(Context::Near(&["pesel", "numer ewidencyjny", "nr ewid"])),
    id(
        "se-personnummer",
        "Sweden: personnummer, samordningsnummer",
        r"(?:18|19|20)?[0-9]{6}[-+][0-9]{4}",
        ("date, Luhn", europe::se_personnummer),
        &["«811228-9874»", "«19811228-9874».", "«670919-9530»"],
        &["811228-9873", "811328-9874", "811228-98745"],
    ),
    Rule::new(
        Set::Pii,
        "se-personnummer",
        "se-personnummer-named",
        "Sweden: personnummer without a hyphen, where a word says so",
        r"(?:18|19|20)?[0-9]{10}",
        &["personnummer «8112289874»", "pnr: «198112289874»"],
        &["8112289874", "personnummer 8112289873"],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::Near(&["personnummer", "samordningsnummer", "pnr", "personal identity number"]))
    .check(Check::Of("date, Luhn", europe::se_personnummer)),
    id(
        "fi-hetu",
        "Finland: henkilötunnus",
        r"[0-3][0-9][01][0-9]{3}[-+A-FU-Ya-fu-y][0-9]{3}[0-9A-Ya-y]",
        ("date, mod 31", europe::fi_hetu),
        &["HETU «131052-308T».", "«131052A308T»"],
        &["131052-308U", "131352-308T", "131052-308TT"],
    ),
    id(
        "dk-cpr",
        "Denmark: CPR-nummer, where a word says so",
        r"[0-3][0-9][01][0-9]{3}[- ]?[0-9]{4}",
        ("date", europe::dk_cpr),
        &["CPR: «211062-5629»", "personnummer «2110625629»"],
        &["211062-5629", "CPR: 321062-5629", "CPR: 211362-5629"],
    )
    .context(Context::Near(&["cpr", "cpr-nummer", "cpr-nr", "cprnr", "personnummer"])),
    id(
        "no-fodselsnummer",
        "Norway: fødselsnummer, D-nummer",
        r"[0-7][0-9][0145][0-9]{3} ?[0-9]{5}",
        ("date, mod 11 twice", europe::no_fodselsnummer),
        &["fnr «010100 50053»", "«01010050053»."],
        &["01010050054", "01130050053", "0101005005"],
    ),
    id(
        "pt-nif",
        "Portugal: NIF, where a word says so",
        r"[1-35-9][0-9]{2}[ .]?[0-9]{3}[ .]?[0-9]{3}",
        ("mod 11", europe::pt_nif),
        &["NIF: «123456789»", "contribuinte n.º «501 442 600»"],
        &["123456789", "NIF: 123456788", "NIF: 111111111"],
    )
    .context(Context::Near(&[
        "nif",
        "contribuinte",
        "número fiscal",
        "numero fiscal",
        "número de identificação fiscal",
        "nipc",
        "tax number",
    ])),
    id(
        "uk-nino",
        "United Kingdom: National Insurance number",
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:[0-9]{6}| [0-9]{2} [0-9]{2} [0-9]{2} |[0-9]{2}-[0-9]{2}-[0-9]{2}-)[A-D]",
        ("prefixes that are given out", europe::uk_nino),
        &["NI number «AB123456C».", "«AB 12 34 56 C»"],
        &["BG123456C", "DA123456C", "AB123456E", "AB12345C"],
    ),
    id(
        "uk-nhs",
        "United Kingdom: NHS number, where a word says so",
        r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}",
        ("mod 11", europe::uk_nhs),
        &["NHS number: «943 476 5919»", "NHS no «9434765919»"],
        &["943 476 5919", "NHS number: 943 476 5918", "call 555-555-5555"],
    )
    .context(Context::Near(&["nhs", "chi number", "national health"])),
    id(
        "ie-pps",
        "Ireland: PPS number",
        r"[0-9]{7}[A-Wa-w][A-IWa-iw]?",
        ("mod 23", europe::ie_pps),
        &["PPSN «1234567T»", "«1234567FA».", "«1234567TW»"],
        &["1234567A", "123456T", "1234567TAA"],
    ),
    id(
        "cz-rodne-cislo",
        "Czechia, Slovakia: rodné číslo",
        r"[0-9]{2}[0-8][0-9][0-3][0-9]/[0-9]{4}",
        ("date, divisible by 11", europe::cz_rodne_cislo),
        &["RČ «736028/5163»", "«780123/3550»"],
        &["736028/5164", "739928/5163"],
    ),
    id(
        "ro-cnp",
        "Romania: CNP",
        r"[1-9][0-9]{12}",
        ("date, mod 11", europe::ro_cnp),
        &["CNP «1800101221144»"],
        &["1800101221145", "1801301221144", "180010122114"],
    ),
    id(
        "bg-egn",
        "Bulgaria: EGN, where a word says so",
        r"[0-9]{10}",
        ("date, mod 11", europe::bg_egn),
        &["ЕГН: «7523169263»", "EGN «7523169263»"],
        &["7523169263", "EGN 7523169264"],
    )
    .context(Context::Near(&["egn", "ЕГН", "егн"])),
    id(
        "hr-oib",
        "Croatia: OIB, where a word says so",
        r"[0-9]{11}",
        ("mod 11,10", europe::hr_oib),
        &["OIB: «33392005961»"],
        &["33392005961", "OIB: 33392005962"],
    )
    .context(Context::Near(&["oib", "osobni identifikacijski broj"])),
    id(
        "ee-isikukood",
        "Estonia, Lithuania: isikukood, asmens kodas",
        r"[1-8][0-9]{10}",
        ("date, mod 11", europe::ee_isikukood),
        &["isikukood «37605030299»", "asmens kodas: «33309240064»"],
        &["37605030299", "isikukood 37605030298", "isikukood 37613030299"],
    )
    .context(Context::Near(&[
        "isikukood",
        "isikukoodi",
        "asmens kodas",
        "personal code",
        "personal identification code",
    ])),
    id(
        "gr-amka",
        "Greece: AMKA, where a word says so",
        r"[0-3][0-9][01][0-9]{8}",
        ("date, Luhn", europe::gr_amka),
        &["ΑΜΚΑ: «01013099997»", "AMKA «01013099997»"],
        &["01013099997", "AMKA 01013099998"],
    )
    .context(Context::Near(&["amka", "ΑΜΚΑ", "α.μ.κ.α"])),
    id(
        "tr-tckn",
        "Türkiye: TC kimlik no, where a word says so",
        r"[1-9][0-9]{10}",
        ("two digits of checksum", europe::tr_tckn),
        &["TC kimlik no: «10000000146»", "TCKN «10000000146»"],
        &["10000000146", "TCKN 10000000147"],
    )
    .context(Context::Near(&["tckn", "tc kimlik", "t.c. kimlik", "kimlik no", "kimlik"])),
];
