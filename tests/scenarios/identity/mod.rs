//! Who asks, and what they may: identity providers and roles, against the real binary and real providers.

mod resource;
mod site;
