use super::{BodyKind, Params, fold_name, url_decode};

/// `name=text`, `name[]` or `name!` (gone), each with `*times` where given more than once.
fn shown(params: &Params) -> String {
    let show = |param: super::Param<'_>| {
        let name = param.name.escape_ascii();
        let times = if param.times > 1 { format!("*{}", param.times) } else { String::new() };
        match param.value {
            Some(value) => format!("{name}={}{times}", value.escape_ascii()),
            None => format!("{name}{}{times}", if param.held { "[]" } else { "!" }),
        }
    };
    params.iter().map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn queries_and_forms_are_read_as_php_reads_them() {
    let deep = format!("t=1&t{}=2", "[a]".repeat(65));
    let deep_then_text = format!("t{}=2&t=1", "[a]".repeat(65));
    let rows: &[(&str, &str)] = &[
        ("", ""),
        ("&&", ""),
        ("t=1&t=2", "t=2*2"),
        ("t=1&t[]=2", "t[]*2"),
        ("t[]=2&t=1", "t=1*2"),
        ("user.token=1&user+token=2&user%20token=3&user[token=4", "user_token=4*4"),
        ("%20t=1", "t=1"),
        ("+t=1", "t=1"),
        ("%09t=1", "\\tt=1"),
        ("t%00x=1", "t=1"),
        ("user[a]b=1", "user[]"),
        ("a=1;t=2", "a=1;t=2"),
        ("%74=1", "t=1"),
        ("%2574=1", "%74=1"),
        ("t=%zz", "t=%zz"),
        ("t=%4", "t=%4"),
        ("t=a+b%2Bc%00", "t=a b+c\\x00"),
        ("t", "t="),
        ("=1", ""),
        ("t==1", "t==1"),
        ("[t]=1", ""),
        (&deep, "t!*2"),
        (&deep_then_text, "t=1*2"),
        ("b=1&a=2&b=3", "b=3*2 a=2"),
    ];
    for (text, expected) in rows {
        assert_eq!(shown(&Params::parse(text.as_bytes())), *expected, "{text}");
    }
}

#[test]
fn cookies_are_read_as_php_reads_them() {
    let rows: &[(&str, &str)] = &[
        ("t=1; t=2", "t=1*2"),
        ("t=1; t[a]=2", "t[]*2"),
        ("t[a]=2; t=1", "t[]*2"),
        ("t=1, t=2", "t=1, t=2"),
        ("t=a+b%20c", "t=a+b c"),
        ("%74=1", "%74=1"),
        ("a.b=1", "a_b=1"),
        ("t =1", "t_=1"),
        (";\t t=1;;", "t=1"),
        ("=1; t", "t="),
        ("t=\"1\"", "t=\\\"1\\\""),
    ];
    for (text, expected) in rows {
        assert_eq!(shown(&Params::parse_cookies(text.as_bytes())), *expected, "{text}");
    }
}

#[test]
fn more_variables_than_php_takes_up_are_told() {
    for (count, overflow) in [(1000, false), (1001, true)] {
        assert_eq!(Params::parse("t=1&".repeat(count).as_bytes()).overflow(), overflow);
        assert_eq!(Params::parse("&".repeat(count).as_bytes()).overflow(), overflow);
        assert_eq!(Params::parse_cookies("t=1; ".repeat(count).as_bytes()).overflow(), overflow);
    }
}

#[test]
fn a_content_type_is_cut_and_folded() {
    let rows: &[(Option<&str>, BodyKind)] = &[
        (None, BodyKind::Opaque),
        (Some(""), BodyKind::Opaque),
        (Some("application/x-www-form-urlencoded"), BodyKind::Form),
        (Some("APPLICATION/x-www-form-URLENCODED, text/plain"), BodyKind::Form),
        (Some("application/x-www-form-urlencoded foo"), BodyKind::Form),
        (Some("application/x-www-form-urlencoded;charset=UTF-8"), BodyKind::Form),
        (Some("application/x-www-form-urlencoded\t"), BodyKind::Opaque),
        (Some("application/x-www-form-urlencoded2"), BodyKind::Opaque),
        (Some("application/json; application/x-www-form-urlencoded"), BodyKind::Opaque),
        (Some("Multipart/Form-Data; boundary=B"), BodyKind::Multipart),
        (Some("multipart/mixed; boundary=B"), BodyKind::Opaque),
    ];
    for (text, expected) in rows {
        assert_eq!(BodyKind::of(text.map(str::as_bytes)), *expected, "{text:?}");
    }
}

#[test]
fn names_and_texts_can_be_read_alone() {
    assert_eq!(fold_name(b" a.b[c]"), Some((b"a_b".to_vec(), true)));
    assert_eq!(fold_name(b"a.b"), Some((b"a_b".to_vec(), false)));
    assert_eq!(fold_name(b"[a]"), None);
    assert_eq!(url_decode(b"a+%41%zz%"), b"a A%zz%");
}

#[test]
fn values_are_not_shown() {
    let shown = format!("{:?}", Params::parse(b"token=secret&list[]=secret&token=secret"));
    assert_eq!(shown, "[token x2, list[]]");
}
