//! Path templates: where in a path the parts of an endpoint stand.

/// Which part of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Module.
    Module,
    /// Controller.
    Controller,
    /// Action.
    Action,
}

/// A path template: literal texts and parts, split at `/`; `{path}` alone takes the whole path as action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its segments; each literal text, or text around one part.
    pub segments: Vec<Segment>,
    /// Whether further segments may follow (`/**`).
    pub open: bool,
    /// `{path}`: the whole path is the action.
    pub whole: bool,
}

/// One segment of a template: what stands before and after the part, or literal text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Text that must be there, in any case.
    Literal(Vec<u8>),
    /// A part between two (possibly empty) texts, as in `{module}.php`.
    Part {
        /// Text before.
        before: Vec<u8>,
        /// The part.
        part: Part,
        /// Text after.
        after: Vec<u8>,
    },
}

/// What a path template found in a path.
#[derive(Debug, Default)]
pub(crate) struct Taken<'a> {
    pub(crate) parts: [Option<&'a [u8]>; 3],
    pub(crate) rest: &'a [u8],
}

impl Part {
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Module => 0,
            Self::Controller => 1,
            Self::Action => 2,
        }
    }
}

impl Template {
    /// Compiles `/{module}/{controller}/{action}`; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "{path}" {
            return Ok(Self { segments: Vec::new(), open: false, whole: true });
        }
        let inner = text.strip_prefix('/').ok_or("must begin with `/` (or be `{path}`)")?;
        let (inner, open) = match inner.strip_suffix("/**") {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        let segments: Vec<Segment> = inner.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        let mut seen = [0; 3];
        for segment in &segments {
            if let Segment::Part { part, .. } = segment
                && let Some(count) = seen.get_mut(part.index())
            {
                *count += 1;
            }
        }
        match seen {
            [0, 0, 0] => Err("names none of {module}, {controller}, {action}".to_owned()),
            _ if seen.iter().any(|count| *count > 1) => Err("names a part twice".to_owned()),
            _ => Ok(Self { segments, open, whole: false }),
        }
    }

    /// Whether it says itself how a path ends (`/{module}.php`): then no configured suffix is taken off before.
    pub(crate) fn ends_in_a_suffix(&self) -> bool {
        let last = match self.segments.last() {
            Some(Segment::Literal(text) | Segment::Part { after: text, .. }) => text.contains(&b'.'),
            None => false,
        };
        last && !self.open
    }

    /// Lays the template over a path. Parts that the path leaves out at its end need a default.
    pub(crate) fn take<'a>(&self, path: &'a [u8], has_default: impl Fn(Part) -> bool) -> Option<Taken<'a>> {
        if self.whole {
            return Some(Taken { parts: [None, None, Some(path)], rest: b"" });
        }
        let mut taken = Taken::default();
        let mut left = path.strip_prefix(b"/").unwrap_or(path);
        let mut last: &[u8] = b"";
        for segment in &self.segments {
            if left.is_empty() {
                match segment {
                    Segment::Part { part, .. } if has_default(*part) && !segment.is_file_like(last) => continue,
                    _ => return None,
                }
            }
            let (found, behind) = split_segment(left);
            segment.take(found, &mut taken.parts)?;
            (last, left) = (found, behind);
        }
        taken.rest = left;
        (left.is_empty() || self.open).then_some(taken)
    }
}

fn split_segment(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'/', path) {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (path, b""),
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("holds an empty segment".to_owned());
        }
        let Some(open) = text.find('{') else {
            return Ok(Self::Literal(text.as_bytes().to_vec()));
        };
        let close = text.find('}').filter(|close| *close > open).ok_or("holds a `{` without `}`")?;
        let (before, inner, after) = (text.get(..open), text.get(open + 1..close), text.get(close + 1..));
        let part = match inner {
            Some("module") => Part::Module,
            Some("controller") => Part::Controller,
            Some("action") => Part::Action,
            _ => {
                return Err(format!(
                    "knows no `{{{}}}`; parts are module, controller, action",
                    inner.unwrap_or_default()
                ));
            }
        };
        if after.is_some_and(|after| after.contains('{')) {
            return Err("holds two parts in one segment".to_owned());
        }
        let bytes = |text: Option<&str>| text.unwrap_or_default().as_bytes().to_vec();
        Ok(Self::Part { before: bytes(before), part, after: bytes(after) })
    }

    /// Whether a path's last segment ends as this one, which is left out, would: `/user.php` is no folder whose script is left out,
    /// as `/admin` may be for `/{module}/{controller}.php`.
    fn is_file_like(&self, last: &[u8]) -> bool {
        match self {
            Self::Part { after, .. } => !after.is_empty() && strip_ignoring_case(last, b"", after).is_some(),
            Self::Literal(_) => false,
        }
    }

    fn take<'a>(&self, found: &'a [u8], parts: &mut [Option<&'a [u8]>; 3]) -> Option<()> {
        match self {
            Self::Literal(text) => found.eq_ignore_ascii_case(text).then_some(()),
            Self::Part { before, part, after } => {
                let inner = strip_ignoring_case(found, before, after)?;
                *parts.get_mut(part.index())? = Some(inner);
                Some(())
            }
        }
    }
}

fn strip_ignoring_case<'a>(text: &'a [u8], before: &[u8], after: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(before.len())?;
    let (inner, end) = rest.split_at_checked(rest.len().checked_sub(after.len())?)?;
    (start.eq_ignore_ascii_case(before) && end.eq_ignore_ascii_case(after)).then_some(inner)
}
