//! Which slot a command belongs to, by the Cluster specification: CRC16 (XMODEM) of its key, or of the key's hash tag.

use redis::{Arg, Cmd};

/// Slots of every Cluster.
pub(super) const SLOTS: u16 = 16384;

/// The slot of a key.
pub(super) fn slot(key: &[u8]) -> u16 {
    crc16(tag(key)) % SLOTS
}

/// The slot of a command's key; `None` where it has none. All commands of the store have one key at most.
pub(super) fn slot_of(command: &Cmd) -> Option<u16> {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => word,
        _ => &[],
    });
    let key = match words.next()? {
        b"EVAL" => words.nth(2),
        b"SCAN" | b"PING" => None,
        _ => words.next(),
    };
    key.map(slot)
}

/// What stands between the first `{` and the next `}`, where that is anything; otherwise all.
fn tag(key: &[u8]) -> &[u8] {
    let inner = || {
        let (_, rest) = key.split_at(key.iter().position(|byte| *byte == b'{')? + 1);
        let (inner, _) = rest.split_at(rest.iter().position(|byte| *byte == b'}')?);
        (!inner.is_empty()).then_some(inner)
    };
    inner().unwrap_or(key)
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| crc << 8 ^ step(crc >> 8 ^ u16::from(*byte)))
}

/// What eight bits come to.
fn step(bits: u16) -> u16 {
    (0..8).fold(bits << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cmd;

    #[test]
    fn slots_are_those_of_redis() {
        // CLUSTER KEYSLOT of Redis 7.0.15.
        for (key, expected) in [
            (&b"123456789"[..], 12739),
            (b"", 0),
            (b"foo", 12182),
            (b"ticketgate:client:ios", 7906),
            (b"{user1000}.following", 3443),
            (b"user1000", 3443),
            (b"foo{}{bar}", 8363),
            (b"foo{{bar}}zap", 4015),
            (b"foo{bar}{zap}", 5061),
            (b"bar", 5061),
        ] {
            assert_eq!(slot(key), expected, "{key:?}");
        }
    }

    #[test]
    fn a_command_goes_where_its_key_is() {
        assert_eq!(slot_of(cmd("GET").arg("foo")), Some(12182));
        assert_eq!(slot_of(cmd("EVAL").arg("return 1").arg(1).arg("foo").arg("bar")), Some(12182));
        assert_eq!(slot_of(cmd("SCAN").arg(0)), None);
        assert_eq!(slot_of(&cmd("PING")), None);
    }
}
