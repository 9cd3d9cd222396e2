//! The snippets that the documents give to client writers compute the right tokens, in each language whose interpreter is installed.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::process::{Command, Stdio};

/// Of `user`, `auth`, `login` on 2013-12-18 with the secret `s3cret`.
const MD5: &str = "ea5c241756c8c8c441090ba291f47d83";
const HMAC_SHA256: &str = "6c3aa135dcce96cf44ae4e2006fb8848fe673d703b4ee2296e2481172c9488ff";

/// A language of the documents: how its interpreter takes a program, and how `api_token` is called in it.
struct Language {
    fence: &'static str,
    interpreter: &'static [&'static str],
    call: &'static str,
    assign: &'static str,
    print: &'static str,
}

const LANGUAGES: &[Language] = &[
    Language {
        fence: "php",
        interpreter: &["php", "-r"],
        call: "echo api_token('user', 'auth', 'login', 's3cret', '2013-12-18');",
        assign: "$module='user'; $controller='auth'; $action='login'; $date='2013-12-18'; $client_secret='s3cret';\n",
        print: "echo $api_token;",
    },
    Language {
        fence: "js",
        interpreter: &["node", "-e"],
        call: "console.log(api_token('user', 'auth', 'login', 's3cret', '2013-12-18'));",
        assign: "const module_='user', controller='auth', action='login', date='2013-12-18', client_secret='s3cret';\n",
        print: "console.log(api_token);",
    },
    Language {
        fence: "sh",
        interpreter: &["sh", "-euc"],
        call: "api_token user auth login s3cret 2013-12-18",
        assign: "module=user controller=auth action=login date=2013-12-18 client_secret=s3cret\n",
        print: "echo $api_token",
    },
    Language {
        fence: "python",
        interpreter: &["python3", "-c"],
        call: "print(api_token('user', 'auth', 'login', 's3cret', '2013-12-18'))",
        assign: "",
        print: "",
    },
];

#[test]
fn functions_for_client_writers_compute_md5_tokens() {
    for language in LANGUAGES {
        let program = block("docs/clients.md", language.fence, "api_token");
        assert_prints(language, &format!("{program}\n{}", language.call), MD5);
    }
}

#[test]
fn functions_for_client_writers_compute_hmac_tokens_with_their_other_line() {
    for language in LANGUAGES {
        let program = block("docs/clients.md", language.fence, "api_token");
        let program = with_hmac_line(&program);
        assert_prints(language, &format!("{program}\n{}", language.call), HMAC_SHA256);
    }
}

#[test]
fn functions_for_client_writers_take_the_date_in_the_servers_zone() {
    for language in LANGUAGES {
        let program = block("docs/clients.md", language.fence, "api_token");
        let today = language.call.replace(", '2013-12-18'", "").replace(" 2013-12-18", "");
        let text = format!("{program}\n{today}");
        if let Some(printed) = run(language, &text) {
            assert_eq!(printed.len(), 32, "{}: {printed}", language.fence);
            assert!(program.contains("Asia/Shanghai"), "{}", language.fence);
        }
    }
}

#[test]
fn one_liners_of_both_readmes_compute_md5_tokens() {
    for file in ["README.md", "README.zh-CN.md"] {
        for language in LANGUAGES.iter().filter(|language| !language.print.is_empty()) {
            let line = block(file, language.fence, "api_token");
            assert_prints(language, &format!("{}{line}\n{}", language.assign, language.print), MD5);
        }
    }
}

fn assert_prints(language: &Language, program: &str, expected: &str) {
    if let Some(printed) = run(language, program) {
        assert_eq!(printed, expected, "{}:\n{program}", language.fence);
    }
}

/// What a program prints; `None` where its interpreter is not installed.
fn run(language: &Language, program: &str) -> Option<String> {
    let (interpreter, arguments) = language.interpreter.split_first().unwrap();
    if Command::new(interpreter).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("{}: skipped, no {interpreter}", language.fence);
        return None;
    }
    let program = program.trim_start_matches("<?php\n");
    let output = Command::new(interpreter).args(arguments).arg(program).output().unwrap();
    assert!(output.status.success(), "{}:\n{}", language.fence, String::from_utf8(output.stderr).unwrap());
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// The first block of that language in which a word stands.
fn block(file: &str, fence: &str, word: &str) -> String {
    let text = fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let opening = format!("\n```{fence}\n");
    let blocks = text.split(&opening).skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.filter(|block| block.contains(word)).map(str::to_owned).next().unwrap()
}

/// The line that computes md5 dropped, and the one after it, a comment, brought to life.
fn with_hmac_line(program: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in program.lines() {
        if let Some((before, code)) = line.split_once("hmac-sha256: ") {
            lines.pop();
            lines.push(before.replace(['/', '#'], " ").trim_end().to_owned() + "    " + code);
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}
