//! What strangers send. The rows are numbered as in `docs/hostile-inputs.md`.
