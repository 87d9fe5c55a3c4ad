//! The simulated inference server, and `portcullis demo`.
