//! Start, reload, certificate swap, upgrade and stop, with traffic running.
