//! What rules change, copy or answer themselves: headers, rewrites, redirects, mirrors, CORS, timeouts, retries.
