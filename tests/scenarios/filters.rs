//! What rules change, copy or answer themselves: headers, rewrites, redirects, mirrors, CORS, timeouts, retries.

mod cors;
mod headers;
mod mirrors;
mod places;
mod retries;
mod timeouts;
