//! `ticketgate client import`: the table that an application kept its clients in, as CSV or as MySQL's client prints it.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use csv::{ReaderBuilder, StringRecord};
use http::Method;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::api::Api;
use crate::cli::output::{say, say_json};

/// Names under which applications keep those columns.
const ID: [&str; 3] = ["id", "client_id", "app_id"];
const SECRET: [&str; 3] = ["secret", "client_secret", "app_secret"];
const NAME: [&str; 4] = ["name", "client_name", "app_name", "title"];
const STATUS: [&str; 4] = ["status", "client_status", "state", "enabled"];

/// Registers every client of a file, says what became of each line, and fails if any failed.
pub(super) fn run(api: &Api, file: &Path) -> Result<(), Failure> {
    let text = read(file)?;
    let (columns, rows) = parse(&text).with_context(|| format!("{}", file.display()))?;
    let mut report = Vec::new();
    let mut failed = false;
    for (line, row) in rows {
        let added = row.and_then(|row| columns.client(&row)).and_then(|client| add(api, &client));
        failed |= added.is_err();
        if !api.json {
            say(&said(line, &added))?;
        }
        report.push(match added {
            Ok(id) => json!({"line": line, "id": id, "error": null}),
            Err(error) => json!({"line": line, "id": null, "error": format!("{error:#}")}),
        });
    }
    if api.json {
        say_json(&Value::Array(report))?;
    }
    if failed { Err(Failure::Said) } else { Ok(()) }
}

fn said(line: u64, added: &anyhow::Result<String>) -> String {
    match added {
        Ok(id) => format!("line {line}: {id}: added"),
        Err(error) => format!("line {line}: failed: {error:#}"),
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).context("standard input cannot be read")?;
    } else {
        bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{} is not UTF-8; convert it first", file.display()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn add(api: &Api, client: &Value) -> anyhow::Result<String> {
    let added = api.ask(Method::POST, "/api/v1/clients", Some(client))?;
    added.get("id").and_then(Value::as_str).map(str::to_owned).context("the gate did not say which client it added")
}

/// Where the columns stand.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    id: usize,
    secret: usize,
    name: Option<usize>,
    status: Option<usize>,
    /// Whether the file is MySQL's batch output, which escapes with backslashes and writes NULL.
    batch: bool,
}

type Rows = Vec<(u64, anyhow::Result<StringRecord>)>;

fn parse(text: &str) -> anyhow::Result<(Columns, Rows)> {
    // The reader counts the line of a row before it has taken the second half of a CRLF.
    let text = text.replace("\r\n", "\n");
    let header = text.lines().next().unwrap_or_default();
    if header.starts_with("+-") {
        bail!("this is a table for people; have it printed with `mysql --batch`");
    }
    let batch = header.contains('\t');
    let delimiter = if batch { b'\t' } else { b',' };
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).quoting(!batch).flexible(true).from_reader(text.as_bytes());
    let columns = Columns::find(reader.headers()?, batch)?;
    let rows = reader.records().map(|row| {
        let line = match &row {
            Ok(row) => row.position().map(csv::Position::line),
            Err(error) => error.position().map(csv::Position::line),
        };
        (line.unwrap_or(0), row.map_err(Into::into))
    });
    Ok((columns, rows.collect()))
}

impl Columns {
    fn find(header: &StringRecord, batch: bool) -> anyhow::Result<Self> {
        let find = |names: &[&str]| {
            header.iter().position(|column| names.iter().any(|name| column.trim().eq_ignore_ascii_case(name)))
        };
        // A table may number its rows in `id` and hold the client's own id beside it.
        let id = find(&ID[1..]).or_else(|| find(&ID));
        let missing = |what: &str, names: &[&str]| {
            anyhow!("the first line names no column for the {what}; call it one of {}", names.join(", "))
        };
        Ok(Self {
            id: id.ok_or_else(|| missing("id", &ID))?,
            secret: find(&SECRET).ok_or_else(|| missing("secret", &SECRET))?,
            name: find(&NAME),
            status: find(&STATUS),
            batch,
        })
    }

    /// What to register for that row.
    fn client(&self, row: &StringRecord) -> anyhow::Result<Value> {
        let needed =
            |column: usize, what: &str| self.cell(row, Some(column)).with_context(|| format!("the {what} is empty"));
        let mut client = json!({"id": needed(self.id, "id")?, "secret": needed(self.secret, "secret")?});
        if let Some(fields) = client.as_object_mut() {
            fields.insert("enabled".to_owned(), enabled(self.cell(row, self.status).as_deref())?.into());
            if let Some(name) = self.cell(row, self.name) {
                fields.insert("name".to_owned(), name.into());
            }
        }
        Ok(client)
    }

    fn cell(&self, row: &StringRecord, column: Option<usize>) -> Option<String> {
        let text = row.get(column?)?;
        let text = match text {
            "NULL" | "\\N" => return None,
            text if self.batch => unescape(text),
            text => text.trim().to_owned(),
        };
        (!text.is_empty()).then_some(text)
    }
}

fn enabled(status: Option<&str>) -> anyhow::Result<bool> {
    match status.map(str::to_ascii_lowercase).as_deref() {
        None | Some("1" | "true" | "yes" | "y" | "on" | "enabled" | "enable" | "active" | "normal" | "ok") => Ok(true),
        Some("0" | "false" | "no" | "n" | "off" | "disabled" | "disable" | "inactive") => Ok(false),
        Some(other) => bail!("the status `{other}` is neither 1 (enabled) nor 0 (disabled)"),
    }
}

/// Undoes what `mysql --batch` does to tabs, newlines, NULs and backslashes.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('t') => plain.push('\t'),
                Some('n') => plain.push('\n'),
                Some('0') => plain.push('\0'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(text: &str) -> Vec<(u64, Result<Value, String>)> {
        let (columns, rows) = parse(text).unwrap();
        let client = |row: anyhow::Result<StringRecord>| row.and_then(|row| columns.client(&row));
        rows.into_iter().map(|(line, row)| (line, client(row).map_err(|error| error.to_string()))).collect()
    }

    #[test]
    fn csv_is_read_by_its_header() {
        let text = "Name,ID,secret,status\n\"Shop, \"\"old\"\"\",ios,s3cret,1\r\n,web,x,0\n王,pc,y\n";
        let expected = [
            (2, Ok(json!({"id": "ios", "secret": "s3cret", "enabled": true, "name": "Shop, \"old\""}))),
            (3, Ok(json!({"id": "web", "secret": "x", "enabled": false}))),
            (4, Ok(json!({"id": "pc", "secret": "y", "enabled": true, "name": "王"}))),
        ];
        assert_eq!(clients(text), expected);
    }

    #[test]
    fn batch_output_of_mysql_is_read_with_its_escapes() {
        let text = "id\tclient_id\tclient_secret\tname\tstatus\n1\tios\ta\\\\b\"c\tNULL\t1\n2\tweb\tx y\tA\\tB\t0\n";
        let expected = [
            (2, Ok(json!({"id": "ios", "secret": "a\\b\"c", "enabled": true}))),
            (3, Ok(json!({"id": "web", "secret": "x y", "enabled": false, "name": "A\tB"}))),
        ];
        assert_eq!(clients(text), expected);
    }

    #[test]
    fn a_bad_line_is_said_and_the_others_go_on() {
        let results = clients("id,secret,status\nios,,1\nweb,x,7\npc,y,1\n");
        let errors: Vec<_> = results.iter().map(|(line, result)| (*line, result.clone().err())).collect();
        assert_eq!(errors[0], (2, Some("the secret is empty".to_owned())));
        assert_eq!(errors[1], (3, Some("the status `7` is neither 1 (enabled) nor 0 (disabled)".to_owned())));
        assert_eq!(errors[2], (4, None));
    }

    #[test]
    fn a_file_without_the_needed_columns_is_refused() {
        for (text, hint) in [("", "column for the id"), ("id,name\n", "column for the secret"), ("+----+\n", "--batch")]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(hint), "{text:?}: {error}");
        }
    }
}
