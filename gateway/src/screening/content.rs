//! What a body is, for those who read it: one face for documents, forms, texts and messages of gRPC.

use std::{borrow::Cow, sync::Arc};

use portcullis_policy::guard::lanes::{
    document::{self, Document, Edit, Place, Screener, Settings},
    form::{self, Form},
    json::Fault,
    plain,
    shape::{Field, Shape, Speaker},
    tensors::{self, Request, Stop, binary},
};

/// What kind of body.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A JSON document.
    Json(Shape),
    /// A JSON document of so many bytes, and tensors behind it.
    Binary(Shape, usize),
    /// One message of KServe's gRPC, without its frame.
    Message,
    /// `multipart/form-data`, by its whole content type.
    Multipart(Arc<[u8]>),
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
    /// One text; of a request, since those of answers flow.
    Plain,
}

impl Kind {
    /// The same, after it has been written anew.
    pub(super) fn now(&self, header_bytes: Option<usize>) -> Self {
        match (self, header_bytes) {
            (Self::Binary(shape, _), Some(header_bytes)) => Self::Binary(*shape, header_bytes),
            (kind, _) => kind.clone(),
        }
    }
}

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// It is not what it says it is: its sender's fault.
    #[error("{0}")]
    Malformed(String),
    /// It cannot be screened.
    #[error("{0}")]
    Unscreenable(String),
    /// The screener does not let it go on.
    #[error("refused")]
    Refused,
}

/// A body that has been read.
pub(super) enum Content<'b> {
    Json(Document<'b>),
    Binary {
        shape: Shape,
        json: &'b [u8],
        tensors: &'b [u8],
        document: Document<'b>,
        settings: Settings,
        said: Vec<(Place, String)>,
    },
    Message(Request<'b>),
    Form(Form<'b>),
    Plain(&'b str),
}

/// A body that is written anew.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) body: Vec<u8>,
    /// Of a document with tensors behind it: how long the document is now.
    pub(super) header_bytes: Option<usize>,
}

impl<'b> Content<'b> {
    pub(super) fn read(kind: &'b Kind, body: &'b [u8], settings: Settings) -> Result<Self, Unreadable> {
        Ok(match kind {
            Kind::Json(shape) => Self::Json(Document::read(*shape, body, &settings)?),
            Kind::Binary(shape, header_bytes) => {
                let (json, tensors) = binary::split(body, *header_bytes)?;
                // Once to see what the tensors say, so that it can be scored and asked about.
                let mut seen = Seen::default();
                binary::rewrite(shape.form, json, tensors, &settings, &mut seen)?;
                let document = Document::read(*shape, json, &settings)?;
                Self::Binary { shape: *shape, json, tensors, document, settings, said: seen.0 }
            }
            Kind::Message => Self::Message(Request::read(body, &settings)?),
            Kind::Multipart(content_type) => Self::Form(Form::multipart(content_type, body, &settings)?),
            Kind::Urlencoded => Self::Form(Form::urlencoded(body, &settings)?),
            Kind::Plain => {
                let text = std::str::from_utf8(body).ok().filter(|_| plain::is_written(body));
                let why = || Unreadable::Unscreenable(plain::Unscreenable::NotText.to_string());
                Self::Plain(text.ok_or_else(why)?)
            }
        })
    }

    /// Its texts, in order.
    pub(super) fn texts(&self) -> Vec<(Place, &str)> {
        match self {
            Self::Json(document) => document.texts().map(|(place, text)| (*place, text)).collect(),
            Self::Binary { document, said, .. } => {
                let tensors = said.iter().map(|(place, text)| (*place, text.as_str()));
                tensors.chain(document.texts().map(|(place, text)| (*place, text))).collect()
            }
            Self::Message(message) => message.texts().map(|(place, text)| (*place, text)).collect(),
            Self::Form(form) => form.texts().map(|(place, text)| (*place, text)).collect(),
            Self::Plain(text) => vec![(PLAIN, *text)],
        }
    }

    /// Messages that are said in several texts, joined.
    pub(super) fn joined(&self) -> Vec<(Place, String)> {
        match self {
            Self::Json(document) | Self::Binary { document, .. } => document.joined(),
            _ => Vec::new(),
        }
    }

    /// What a conversation begins with, and goes on beginning with.
    pub(super) fn opening(&self) -> Vec<&str> {
        match self {
            Self::Json(document) | Self::Binary { document, .. } => document.opening().collect(),
            _ => Vec::new(),
        }
    }

    /// Shows each text, and writes what becomes of the body; `None`: it stays as it is.
    pub(super) fn rewrite(&self, screener: &mut impl Screener) -> Result<Option<Written>, Unreadable> {
        let plainly = |body: Option<Vec<u8>>| body.map(|body| Written { body, header_bytes: None });
        match self {
            Self::Json(document) => Ok(plainly(document.rewrite(screener)?)),
            Self::Message(message) => Ok(plainly(message.rewrite(screener)?)),
            Self::Form(form) => Ok(plainly(form.rewrite(screener)?)),
            Self::Plain(text) => Ok(plainly(rewritten(text, screener)?)),
            Self::Binary { shape, json, tensors, settings, .. } => {
                let written = binary::rewrite(shape.form, json, tensors, settings, screener)?;
                let (header, behind): (Cow<'_, [u8]>, Cow<'_, [u8]>) = match &written {
                    Some(written) => (written.json.as_slice().into(), written.tensors.as_slice().into()),
                    None => ((*json).into(), (*tensors).into()),
                };
                let document = Document::read(*shape, &header, settings)?.rewrite(screener)?;
                if written.is_none() && document.is_none() {
                    return Ok(None);
                }
                let header = document.unwrap_or_else(|| header.to_vec());
                let header_bytes = Some(header.len());
                Ok(Some(Written { body: [&header[..], &behind].concat(), header_bytes }))
            }
        }
    }
}

/// Where a text stands that is all of a body.
const PLAIN: Place = Place { field: Field::Text(Speaker::User), speaker: Speaker::User, message: None, at: 0 };

fn rewritten(text: &str, screener: &mut impl Screener) -> Result<Option<Vec<u8>>, Unreadable> {
    let edits = match screener.text(&PLAIN, text) {
        Edit::Keep => return Ok(None),
        Edit::Refuse => return Err(Unreadable::Refused),
        Edit::Ranges(edits) => edits,
    };
    let (mut written, mut at) = (String::with_capacity(text.len()), 0);
    for (range, with) in edits {
        written.push_str(text.get(at..range.start).unwrap_or_default());
        written.push_str(&with);
        at = range.end;
    }
    written.push_str(text.get(at..).unwrap_or_default());
    Ok(Some(written.into_bytes()))
}

/// Notes texts, and lets them be.
#[derive(Debug, Default)]
struct Seen(Vec<(Place, String)>);

impl Screener for Seen {
    fn text(&mut self, place: &Place, text: &str) -> Edit {
        self.0.push((*place, text.to_owned()));
        Edit::Keep
    }
}

impl From<Fault> for Unreadable {
    fn from(fault: Fault) -> Self {
        Self::Malformed(format!("not valid JSON: {fault}"))
    }
}

impl From<document::Unreadable> for Unreadable {
    fn from(why: document::Unreadable) -> Self {
        match why {
            document::Unreadable::Json(fault) => fault.into(),
            document::Unreadable::Refused { .. } => Self::Refused,
            why => Self::Unscreenable(why.to_string()),
        }
    }
}

impl From<form::Unreadable> for Unreadable {
    fn from(why: form::Unreadable) -> Self {
        match why {
            form::Unreadable::Malformed(_) => Self::Malformed(why.to_string()),
            form::Unreadable::Refused { .. } => Self::Refused,
            form::Unreadable::Unscreened { .. } => Self::Unscreenable(why.to_string()),
        }
    }
}

impl From<Stop> for Unreadable {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Blocked { .. } | Stop::Refused { .. } => Self::Refused,
            Stop::Failed(tensors::Unscreenable::Malformed(why)) => Self::Malformed(why.to_owned()),
            Stop::Failed(why) => Self::Unscreenable(why.to_string()),
        }
    }
}
