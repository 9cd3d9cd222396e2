//! The dates of cookies, in whatever form applications write them (RFC 6265, 5.1.1).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// The instant that an `Expires` names; before 1970 counts as 1970.
pub(super) fn read(text: &[u8]) -> Option<Timestamp> {
    let mut found = Parts::default();
    for token in text.split(|byte| is_delimiter(*byte)).filter(|token| !token.is_empty()) {
        found.take(token);
    }
    let (hour, minute, second) = found.time?;
    let year = match found.year? {
        year @ 0..70 => year + 2000,
        year @ 70..100 => year + 1900,
        year => year,
    };
    let date = DateTime::new(year, found.month?, found.day?, hour, minute, second, 0).ok()?;
    let seconds = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    Some(Timestamp::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// What was found, each part at most once.
#[derive(Default)]
struct Parts {
    time: Option<(i8, i8, i8)>,
    day: Option<i8>,
    month: Option<i8>,
    year: Option<i16>,
}

impl Parts {
    /// A token is the first part that it can be and that has not been found yet.
    fn take(&mut self, token: &[u8]) {
        let digits = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if self.time.is_none() && digits <= 2 && token.contains(&b':') {
            self.time = time(token);
        } else if self.day.is_none() && (1..=2).contains(&digits) {
            self.day = number(token, digits);
        } else if self.month.is_none() && digits == 0 {
            let name = token.get(..3).unwrap_or_default().to_ascii_lowercase();
            let place = MONTHS.iter().position(|month| *month == name);
            self.month = place.and_then(|place| i8::try_from(place + 1).ok());
        } else if self.year.is_none() && (2..=4).contains(&digits) {
            self.year = number(token, digits);
        }
    }
}

/// `h:m:s`, one or two digits each, whatever follows.
fn time(token: &[u8]) -> Option<(i8, i8, i8)> {
    let mut fields = token.splitn(3, |byte| *byte == b':');
    let mut next = || {
        let field = fields.next()?;
        let digits = field.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (1..=2).contains(&digits).then(|| number(field, digits))?
    };
    Some((next()?, next()?, next()?))
}

fn number<N: std::str::FromStr>(token: &[u8], digits: usize) -> Option<N> {
    std::str::from_utf8(token.get(..digits)?).ok()?.parse().ok()
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_browsers_read_them() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 6 Nov 1994 8:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Mon, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 November 1994 08:49:37 +0000",
            "06 Nov 1994 08:49:37",
            "1994 Nov 06 08:49:37",
        ] {
            assert_eq!(read(date.as_bytes()), Some(Timestamp::from_secs(784_111_777)), "{date}");
        }
        let table: &[(&str, Option<u64>)] = &[
            ("Thu, 01-Jan-1970 00:00:01 GMT", Some(1)),
            ("Thu, 01 Jan 70 00:00:01 GMT", Some(1)),
            ("Sat, 01 Jan 1910 00:00:00 GMT", Some(0)),
            ("Sun, 01-Jan-69 00:00:00 GMT", Some(3_124_224_000)),
            ("31 Feb 1994 08:49:37", None),
            ("06 Nov 1994 24:00:00", None),
            ("06 Nov 1994", None),
            ("06 Nov 94x 08:49:37 x", Some(784_111_777)),
            ("nonsense", None),
            ("", None),
            ("0", None),
        ];
        for (date, expected) in table {
            assert_eq!(read(date.as_bytes()), expected.map(Timestamp::from_secs), "{date}");
        }
    }
}
