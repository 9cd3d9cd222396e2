//! Paths of the API: ids in them may hold anything, percent-encoded.

use percent_encoding::percent_decode_str;

use crate::admin::answer::Problem;

/// The decoded segments of a path. Split first, decoded then, so that an encoded slash stays within its id.
pub(super) fn segments(path: &str) -> Result<Vec<String>, Problem> {
    path.split('/').map(decode).collect()
}

fn decode(segment: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(segment).decode_utf8();
    decoded.map(String::from).map_err(|_| Problem::bad("the path is not percent-encoded UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_hold_whatever_is_percent_encoded() {
        let cases: [(&str, &[&str]); 4] = [
            ("clients", &["clients"]),
            ("users/a%2Fb%20c/sessions", &["users", "a/b c", "sessions"]),
            ("users/%E7%8E%8B%E4%BA%94/sessions", &["users", "王五", "sessions"]),
            ("users//sessions", &["users", "", "sessions"]),
        ];
        for (path, expected) in cases {
            assert_eq!(segments(path).unwrap(), expected, "{path}");
        }
        assert!(segments("users/%ff/sessions").is_err());
    }
}
