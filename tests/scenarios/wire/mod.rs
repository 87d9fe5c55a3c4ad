//! HTTP itself, on both sides: versions, framing, interim answers, trailers, upgrades, large bodies.
