//! Who asks, and what they may: identity providers and roles, against the real binary and real providers.

mod api_keys;
mod bound;
mod calls;
mod certificates;
mod directory;
mod directory_ad;
mod directory_faults;
mod directory_gateway;
mod dpop;
mod introspection;
mod jwks;
mod jwt;
mod keyed;
mod models;
mod oidc;
mod outages;
mod resource;
mod roles;
mod shadow;
mod site;
mod strangers;
mod streams;
mod tenants;
mod tools;
mod unread;
mod upstream;
