//! Errors, of all dialects: their sentences repeat what was asked.

use crate::guard::lanes::{
    known::Known::{self, At, Code, Detail, Error, Message, Msg, Object, Param, RequestId, Type},
    shape::{
        Field::{self, Structure},
        Speaker,
    },
};

pub(in crate::guard::lanes) fn field(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Error | Message | Detail] | [Error, Message | Param] | [Detail, At(_), Msg] => Field::Text(Speaker::Unknown),
        [Type | Object | Code | RequestId] | [Error, Type | Code] => Structure,
        _ => return None,
    })
}
