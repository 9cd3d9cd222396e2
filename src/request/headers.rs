//! Which of the caller's headers may reach PHP at all.

/// Whether a header of that name may be passed on, by its name alone: only `[A-Za-z0-9-]` (PHP folds everything else to `_`),
/// none of the families that override method, address or URL, and none that the gate itself sets. Hop-by-hop headers are
/// [`is_hop_by_hop`]'s business. `trusted` tells that the peer is a trusted proxy.
pub fn may_pass(_name: &[u8], _trusted: bool) -> bool {
    todo!()
}

/// Headers that concern one connection only (RFC 9110, 7.6.1).
pub fn is_hop_by_hop(_name: &[u8]) -> bool {
    todo!()
}
