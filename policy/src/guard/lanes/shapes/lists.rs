//! Lists of texts: embeddings, moderations, reranking, scores, classification, pooling.

use crate::guard::lanes::{
    known::Known::{
        self, At, Content, Data, Document, Documents, Embedding, Embeddings, EncodingFormat, Id, ImageUrl, Input,
        Instructions, Label, Messages, Model, Object, Queries, Query, Results, Role, Text, Text1, Text2, Texts, Type,
        Url, User,
    },
    shape::{
        Field::{self, Numbers, Opaque, Structure},
        Speaker,
    },
};

/// What is embedded or ranked is a document that was found; what it is ranked for is asked by a user.
pub(in crate::guard::lanes) fn request(path: &[Known]) -> Option<Field> {
    Some(match path {
        // A number is the id of a token.
        [Input | Text1 | Text2 | Query | Queries | Texts] | [Input | Text1 | Text2 | Queries | Texts, At(_)] => {
            Field::Text(Speaker::User)
        }
        [Input, At(_), Text] | [Input | Query, Content, At(_), Text] | [User | Instructions] => {
            Field::Text(Speaker::User)
        }
        [Input, At(_), At(_)] => Opaque,
        [Documents, .., ImageUrl]
        | [Documents, .., ImageUrl, Url]
        | [Input, At(_), ImageUrl]
        | [Input, At(_), ImageUrl, Url] => Opaque,
        [Documents, .., Type] | [Input, At(_), Type] => Structure,
        [Documents, ..] => Field::Text(Speaker::Retrieved),
        [Messages, At(_), Content] | [Messages, At(_), Content, At(_), Text] => Field::Text(Speaker::Unknown),
        [Messages, At(_), Role] | [Messages, At(_), Content, At(_), Type] | [Model | EncodingFormat] => Structure,
        [Messages, At(_), Content, At(_), ImageUrl] | [Messages, At(_), Content, At(_), ImageUrl, Url] => Opaque,
        _ => return None,
    })
}

/// Answers repeat documents.
pub(in crate::guard::lanes) fn answer(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Data, At(_), Embedding] | [Embeddings, ..] => Numbers,
        [Id | Model | Object] | [Data, At(_), Object | Label] => Structure,
        [Results, At(_), Document] | [Results, At(_), Document, Text] => Field::Text(Speaker::Retrieved),
        _ => return None,
    })
}
