//! Query strings, urlencoded forms and cookies, read by PHP's rules (php-src `main/php_variables.c`).

/// What PHP will hold under one top-level name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// The name after PHP's folding: the key of `$_GET`, `$_POST` or `$_COOKIE`.
    pub name: Vec<u8>,
    /// The text, or `None` where PHP holds an array.
    pub value: Option<Vec<u8>>,
    /// How often the name was given, in any spelling, as text or as array.
    pub times: usize,
    /// Whether any of the spellings was an array's (`a[]`, `a[b]`).
    pub array: bool,
}

/// What PHP will hold: one entry per top-level name, in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    params: Vec<Param>,
    overflow: bool,
}

impl Params {
    /// `$_GET` of a query string, or `$_POST` of an urlencoded body.
    pub fn parse(_text: &[u8]) -> Self {
        todo!()
    }

    /// `$_COOKIE` of the Cookie header (several lines joined by `; ` before).
    pub fn parse_cookies(_text: &[u8]) -> Self {
        todo!()
    }

    /// What stands under that (folded) name.
    pub fn get(&self, name: &[u8]) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// The text under that name; `None` where it is missing or an array.
    pub fn text(&self, name: &[u8]) -> Option<&[u8]> {
        self.get(name)?.value.as_deref()
    }

    /// All of them, in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.params.iter()
    }

    /// Whether there were more than PHP takes up (`max_input_vars`): what lies behind is not seen by PHP.
    pub fn overflow(&self) -> bool {
        self.overflow
    }
}

/// Folds a raw (decoded) parameter name as PHP does and says whether it is an array's; `None` where PHP drops it.
pub fn fold_name(_raw: &[u8]) -> Option<(Vec<u8>, bool)> {
    todo!()
}

/// Percent-decoding as PHP's `urldecode` does it: `+` is a blank, a bad escape stays as text.
pub fn url_decode(_raw: &[u8]) -> Vec<u8> {
    todo!()
}

/// What PHP makes of a body by its Content-Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`, as loosely as PHP recognises it.
    Form,
    /// `multipart/form-data`, likewise.
    Multipart,
    /// Anything else: PHP leaves it alone.
    Opaque,
}

impl BodyKind {
    /// Of a Content-Type header, cut and folded as PHP does; `None` for no header.
    pub fn of(_content_type: Option<&[u8]>) -> Self {
        todo!()
    }
}
