//! Which endpoint is asked, and what is done about those that fail.
