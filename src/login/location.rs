//! Where a Location leads, seen from the request it answers (RFC 3986, 5.2).

/// Without `#…`.
pub(super) fn without_fragment(location: &[u8]) -> &[u8] {
    location.split(|byte| *byte == b'#').next().unwrap_or_default()
}

/// Whether it begins neither with a scheme nor with a slash.
pub(super) fn is_relative(location: &[u8]) -> bool {
    !location.starts_with(b"/") && after_scheme(location).is_none()
}

/// Whose it is, where it says that.
pub(super) fn authority(location: &[u8]) -> Option<&[u8]> {
    let rest = after_scheme(location).unwrap_or(location).strip_prefix(b"//")?;
    rest.get(..end_of(rest, b"/?"))
}

/// Path and query of a Location without fragment.
pub(super) fn path_and_query(location: &[u8], request_path: &str) -> Vec<u8> {
    let hierarchy = after_scheme(location).unwrap_or(location);
    let local = match hierarchy.strip_prefix(b"//") {
        Some(rest) => rest.get(end_of(rest, b"/?")..).unwrap_or_default(),
        None => hierarchy,
    };
    let (path, query) = local.split_at(end_of(local, b"?"));
    let directory = request_path.rfind('/').and_then(|slash| request_path.get(..=slash)).unwrap_or("/");
    let path = match path {
        b"" if is_relative(location) => request_path.as_bytes().to_vec(),
        b"" => b"/".to_vec(),
        [b'/', ..] => without_dots(path),
        _ => without_dots(&[directory.as_bytes(), path].concat()),
    };
    [&path, query].concat()
}

/// What stands behind `scheme:`, where there is one.
fn after_scheme(location: &[u8]) -> Option<&[u8]> {
    let colon = end_of(location, b":/?");
    let scheme = location.get(..colon).filter(|scheme| scheme.first().is_some_and(u8::is_ascii_alphabetic))?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    location.get(colon..)?.strip_prefix(b":").filter(|_| scheme.iter().all(plain))
}

fn end_of(text: &[u8], ends: &[u8]) -> usize {
    text.iter().position(|byte| ends.contains(byte)).unwrap_or(text.len())
}

/// RFC 3986, 5.2.4.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    kept.pop();
                }
                if last {
                    kept.push(b"");
                }
            }
            segment => kept.push(segment),
        }
    }
    [b"/", kept.join(&b'/').as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_resolved_against_the_request() {
        let table: &[(&str, &str)] = &[
            ("http://app.example/home?a=1", "/home?a=1"),
            ("HTTPS://app.example:8443", "/"),
            ("http://app.example?a=/b", "/?a=/b"),
            ("//app.example/home", "/home"),
            ("/home", "/home"),
            ("/", "/"),
            ("/a/./b/../c/", "/a/c/"),
            ("/a/..", "/"),
            ("/../../x", "/x"),
            ("home.php", "/user/home.php"),
            ("./home.php", "/user/home.php"),
            ("../home.php", "/home.php"),
            ("?a=1", "/user/login.php?a=1"),
            ("", "/user/login.php"),
            ("/login?next=http://evil/x", "/login?next=http://evil/x"),
            ("login?next=http://evil/x", "/user/login?next=http://evil/x"),
        ];
        for (location, expected) in table {
            let found = path_and_query(location.as_bytes(), "/user/login.php");
            assert_eq!(found, expected.as_bytes(), "{location}");
        }
        assert_eq!(without_fragment(b"/a?b#c"), b"/a?b");
    }
}
