//! KServe v2 over HTTP. Tensors of BYTES are strings; other tensors are numbers.

use crate::guard::lanes::{
    known::Known::{self, At, Data, Datatype, Id, Inputs, ModelName, ModelVersion, Name, Outputs, Parameters},
    shape::{
        Field::{self, Structure},
        Lane, Part, Speaker,
    },
};

pub(in crate::guard::lanes) fn request(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Inputs, At(_), Data, ..] => Field::Text(Speaker::User),
        [Parameters, ..] | [Inputs | Outputs, At(_), Parameters, ..] => Field::Text(Speaker::User),
        [Id] | [Inputs | Outputs, At(_), Name | Datatype] => Structure,
        _ => return None,
    })
}

pub(in crate::guard::lanes) fn answer(path: &[Known]) -> Option<Field> {
    Some(match path {
        // Each string of a tensor is a text of its own. In a tensor of several dimensions they share a lane.
        [Outputs, At(output), Data, At(number), ..] => Field::Copy(Lane::new(*output, Part::Content, *number)),
        [Parameters, ..] | [Outputs, At(_), Parameters, ..] => Field::Text(Speaker::Assistant),
        [Id | ModelName | ModelVersion] | [Outputs, At(_), Name | Datatype] => Structure,
        _ => return None,
    })
}
