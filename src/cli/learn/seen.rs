//! What was seen in the logs, and the rules for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{LearnArgs, Least};

/// Most endpoints that are told apart; a log with more is one of guesses.
const MOST: usize = 20_000;

/// What a line came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A request for an endpoint that no rule decides yet.
    Endpoint { key: Vec<u8>, spelled: String, method: String, client: bool, user: bool },
    /// For a file, in that folder.
    File(Option<String>),
    /// A rule decides it.
    Decided,
    /// It names no endpoint.
    Nameless,
    /// It was answered with an error.
    Failed,
    /// The gate would not read it in any mode.
    Unreadable,
    /// It is no line of an access log.
    Strange,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    endpoints: BTreeMap<Vec<u8>, Endpoint>,
    folders: BTreeMap<String, u64>,
    lines: u64,
    decided: u64,
    nameless: u64,
    failed: u64,
    unreadable: u64,
    strange: u64,
    /// Beyond [`MOST`].
    further: u64,
}

#[derive(Debug, Default)]
struct Endpoint {
    spellings: BTreeMap<String, u64>,
    methods: BTreeSet<String>,
    times: u64,
    with_client: u64,
    with_user: u64,
    with_both: u64,
}

impl Seen {
    pub(super) fn note(&mut self, what: What) {
        self.lines += 1;
        match what {
            What::Endpoint { key, spelled, method, client, user } => {
                if self.endpoints.len() >= MOST && !self.endpoints.contains_key(&key) {
                    self.further += 1;
                    return;
                }
                let endpoint = self.endpoints.entry(key).or_default();
                *endpoint.spellings.entry(spelled).or_default() += 1;
                endpoint.methods.insert(method);
                endpoint.times += 1;
                endpoint.with_client += u64::from(client);
                endpoint.with_user += u64::from(user);
                endpoint.with_both += u64::from(client && user);
            }
            What::File(Some(folder)) => *self.folders.entry(folder).or_default() += 1,
            What::File(None) | What::Nameless => self.nameless += 1,
            What::Decided => self.decided += 1,
            What::Failed => self.failed += 1,
            What::Unreadable => self.unreadable += 1,
            What::Strange => self.strange += 1,
        }
    }

    /// As YAML, the most frequent first.
    pub(super) fn rules(&self, args: &LearnArgs) -> String {
        let mut rules = Vec::new();
        if args.r#static {
            rules.extend(self.folders.iter().map(|(folder, times)| (*times, folder_rule(folder, *times))));
        }
        rules.extend(self.endpoints.values().map(|endpoint| (endpoint.times, endpoint.rule(args.least))));
        rules.retain(|(times, _)| *times >= args.at_least);
        rules.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let mut text = self.head();
        text += if rules.is_empty() { "rules: []\n" } else { "rules:\n" };
        rules.iter().for_each(|(_, rule)| text += rule);
        text + "# What is not above was not seen, or not often enough: nobody may.\ndefault: deny\n"
    }

    fn head(&self) -> String {
        let mut text = format!(
            "# Proposed by `ticketgate learn` from {}. Read it before you use it:\n",
            count(self.lines, "line")
        );
        text += "# a log does not know what should have been refused. Logins need `login:`, logouts `logout:`.\n";
        for (number, what) in [
            (self.decided, "decided by the rules there are"),
            (self.failed, "left out: answered with an error, or refused"),
            (self.nameless, "left out: for no endpoint"),
            (self.unreadable, "left out: the gate refuses to read such requests (`ticketgate explain` says why)"),
            (self.strange, "left out: no line of an access log"),
            (self.further, "left out: for further endpoints, of which there are too many"),
        ] {
            if number > 0 {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "# {}: {what}", count(number, "line"));
            }
        }
        text
    }
}

impl Endpoint {
    /// As strict as every request that was seen allows, and never looser than `least`.
    fn rule(&self, least: Least) -> String {
        let every = |number: u64| number == self.times;
        let seen = match () {
            () if every(self.with_both) => Least::User,
            () if every(self.with_user) => Least::UserOnly,
            () if every(self.with_client) => Least::Client,
            () => Least::Public,
        };
        // A user without a client is neither more nor less than a client without a user.
        let require = if (seen, least) == (Least::UserOnly, Least::Client) { Least::User } else { seen.max(least) };
        let (methods, spelled) = (self.methods.iter().cloned().collect::<Vec<_>>().join(", "), self.spelled());
        let mut note = format!("{}: {methods}", count(self.times, "request"));
        for (number, what) in
            [(self.with_both, "client and user"), (self.with_client, "client"), (self.with_user, "user")]
        {
            if number > 0 {
                note += &format!("; {number} with {what}");
                break;
            }
        }
        let rule = format!("{{endpoint: {spelled}, methods: [{methods}], require: {}}}", require.name());
        // In a rule, a part left out would match anything; and what is not ASCII is for people to spell.
        let comment = if spelled.contains('\\') || spelled.split('/').any(str::is_empty) { "# " } else { "" };
        format!("  # {note}\n  {comment}- {rule}\n")
    }

    fn spelled(&self) -> &str {
        let usual = self.spellings.iter().max_by_key(|(_, times)| **times);
        usual.map_or("", |(spelled, _)| spelled.as_str())
    }
}

fn folder_rule(folder: &str, times: u64) -> String {
    format!(
        "  # {} for files\n  - {{path: \"/{folder}/**\", methods: [GET, HEAD], require: public}}\n",
        count(times, "request")
    )
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
