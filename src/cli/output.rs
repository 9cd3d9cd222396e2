//! What commands print: tables for people, JSON for programs.

use std::io::{self, ErrorKind, Write};

use jiff::Timestamp;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

/// Writes to standard output. A reader that has seen enough (`| head`) is no error.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// One or more lines.
pub(super) fn say(text: &str) -> io::Result<()> {
    write(format!("{text}\n").as_bytes())
}

/// JSON, indented.
pub(super) fn say_json(value: &Value) -> io::Result<()> {
    say(&format!("{value:#}"))
}

/// Columns under headings, aligned.
pub(super) fn table<const COLUMNS: usize>(headings: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut widths = headings.map(UnicodeWidthStr::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let line = |cells: [&str; COLUMNS]| {
        let padded =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(headings)];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

/// Names with their values below each other.
pub(super) fn sheet(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = fields.iter().map(|(name, value)| format!("{name:width$}  {value}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A field of an answer as people read it: texts without quotes, lists joined, nothing as `-`.
pub(super) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), printable)
}

/// What strangers chose (a User-Agent, say) must not move the cursor of whoever reads it.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A field that holds Unix seconds, as a date and time in UTC.
pub(super) fn time(value: &Value, key: &str) -> String {
    let seconds = value.get(key).and_then(Value::as_i64);
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).map_or_else(|| "-".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_stand_under_their_headings_whatever_the_script() {
        let rows = [["ios".to_owned(), "7".to_owned()], ["王五".to_owned(), "-".to_owned()]];
        assert_eq!(table(["ID", "N"], &rows), "ID    N\nios   7\n王五  -");
    }

    #[test]
    fn values_are_shown_as_people_read_them() {
        let value = json!({"name": "", "list": ["a", 1], "flag": true, "at": 0, "agent": "a\u{1b}[2Jb"});
        assert_eq!(text(&value, "name"), "-");
        assert_eq!(text(&value, "missing"), "-");
        assert_eq!(text(&value, "list"), "a,1");
        assert_eq!(text(&value, "flag"), "true");
        assert_eq!(text(&value, "agent"), "a\u{fffd}[2Jb");
        assert_eq!(time(&value, "at"), "1970-01-01T00:00:00Z");
        assert_eq!(time(&value, "name"), "-");
    }
}
