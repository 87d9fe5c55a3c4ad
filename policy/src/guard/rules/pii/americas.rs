//! Numbers that American states know people by.

use super::super::{Check, Context, Edge, Rule, Set, checks::americas};

pub(super) static RULES: &[Rule] = &[
    Rule::new(
        Set::Pii,
        "us-ssn",
        "us-ssn",
        "United States: Social Security number",
        r"[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}|[0-8][0-9]{2} [0-9]{2} [0-9]{4}",
        &["SSN «219-09-9999»", "«078 05 1120»,"],
        &["000-12-3456", "666-12-3456", "219-00-9999", "219-09-0000", "1219-09-9999", "219-09-99999", "219-099-999"],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Of("areas that are given out", americas::us_ssn)),
    Rule::new(
        Set::Pii,
        "us-ssn",
        "us-ssn-named",
        "United States: Social Security number without hyphens, where a word says so",
        r"[0-8][0-9]{2}[ .-]?[0-9]{2}[ .-]?[0-9]{4}",
        &["SSN: «219099999»", "her social security number is «219.09.9999»"],
        &["219099999", "order 219099999", "SSN: 000123456"],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::Near(&["ssn", "ssns", "social security", "soc sec", "social security number", "tin"]))
    .check(Check::Of("areas that are given out", americas::us_ssn)),
    Rule::new(
        Set::Pii,
        "us-itin",
        "us-itin",
        "United States: Individual Taxpayer Identification Number",
        r"9[0-9]{2}-[5-9][0-9]-[0-9]{4}|9[0-9]{2} [5-9][0-9] [0-9]{4}",
        &["ITIN «912-70-1234»", "«999 88 7777»"],
        &["912-93-1234", "912-10-1234", "912-89-1234", "1912-70-1234"],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Of("groups that are given out", americas::us_itin)),
    Rule::new(
        Set::Pii,
        "ca-sin",
        "ca-sin",
        "Canada: Social Insurance Number, where a word says so",
        r"[1-79][0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}",
        &["SIN: «130 692 544»", "social insurance number «130692544»"],
        &["SIN: 130 692 545", "130 692 544", "cos and sin(130692545)"],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::Near(&["sin", "sin number", "social insurance", "nas", "assurance sociale"]))
    .check(Check::Of("Luhn", americas::ca_sin)),
    Rule::new(
        Set::Pii,
        "br-cpf",
        "br-cpf",
        "Brazil: CPF",
        r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}",
        &["CPF «529.982.247-25»."],
        &["529.982.247-26", "111.111.111-11", "529.982.247-250"],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Of("mod 11, twice", americas::br_cpf)),
    Rule::new(
        Set::Pii,
        "br-cpf",
        "br-cpf-named",
        "Brazil: CPF without dots, where a word says so",
        r"[0-9]{11}",
        &["CPF: «52998224725»"],
        &["52998224725", "CPF: 52998224726"],
    )
    .edges(Edge::Number, Edge::Name)
    .context(Context::Near(&["cpf"]))
    .check(Check::Of("mod 11, twice", americas::br_cpf)),
    Rule::new(
        Set::Pii,
        "br-cnpj",
        "br-cnpj",
        "Brazil: CNPJ",
        r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}",
        &["«11.222.333/0001-81»"],
        &["11.222.333/0001-82", "11.222.333/0001-8"],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Of("mod 11, twice", americas::br_cnpj)),
    Rule::new(
        Set::Pii,
        "mx-curp",
        "mx-curp",
        "Mexico: CURP",
        r"[A-Z][AEIOUX][A-Z]{2}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]",
        &["CURP «BOXW310820HNERXN09»"],
        &["BOXW310820HNERXN08", "BOXW311320HNERXN09", "ABOXW310820HNERXN09"],
    )
    .check(Check::Of("date, mod 10", americas::mx_curp)),
    Rule::new(
        Set::Pii,
        "cl-rut",
        "cl-rut",
        "Chile: RUT",
        r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]",
        &["RUT «30.686.957-4»,"],
        &["30.686.957-5", "30.686.957"],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Of("mod 11", americas::cl_rut)),
    Rule::new(
        Set::Pii,
        "ar-cuit",
        "ar-cuit",
        "Argentina: CUIT, CUIL",
        r"(?:2[034567]|3[034])-[0-9]{8}-[0-9]",
        &["CUIT «20-05536168-2»"],
        &["20-05536168-3", "21-05536168-2", "20-05536168-22"],
    )
    .edges(Edge::Number, Edge::Name)
    .check(Check::Of("mod 11", americas::ar_cuit)),
];
