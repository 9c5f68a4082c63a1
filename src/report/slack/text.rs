//! Text as Slack takes it: nothing that was observed is a mention, a link or emphasis, names that are confidential are short, and what
//! looks like a secret is left out.

use sha2::{Digest, Sha256};

use crate::model::secret::without_credentials;

/// Characters of one name or clause.
const LONGEST: usize = 160;

/// Beginnings of tokens that are secrets whatever follows.
const SECRETS: [&str; 12] = [
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "-----BEGIN",
    "eyJhbGciOi",
    "hooks.slack.com/services/",
    "AGE-SECRET-KEY-",
];

/// What a message may not show.
#[derive(Clone, Copy)]
pub struct Shy<'a> {
    /// Prefixes of names that are shortened.
    pub confidential: &'a [String],
}

impl Shy<'_> {
    /// `text` on one line, without what looks like a secret, and with confidential names shortened.
    #[must_use]
    pub fn hush(self, text: &str) -> String {
        let mut out = scrubbed(&line(text));
        for prefix in self.confidential.iter().filter(|prefix| !prefix.is_empty()) {
            out = concealed(&out, prefix);
        }
        out
    }

    /// `text` in a code span, in which Slack reads no mention and no emphasis.
    #[must_use]
    pub fn code(self, text: &str) -> String {
        let line = self.hush(text).replace('`', "'");
        let short = shortened(line.trim(), LONGEST);
        if short.is_empty() { "`-`".to_owned() } else { format!("`{}`", escaped(&short)) }
    }

    /// True when nothing of `text` would be left out.
    #[must_use]
    pub fn shows(self, text: &str) -> bool {
        self.hush(text) == text && text.chars().count() <= LONGEST && !text.contains('`')
    }
}

/// `&`, `<` and `>` as Slack wants them.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `text` without what is no visible character, on one line: what turns text around would show another name than is meant.
fn line(text: &str) -> String {
    let hidden =
        |letter: &char| matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    text.chars().filter(|letter| !hidden(letter)).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The first `most` characters of `text`.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `text` with words taken out that begin as secrets do, and what stands before the `@` of an address.
fn scrubbed(text: &str) -> String {
    let is_end = |letter: char| letter.is_whitespace() || "\"',;)".contains(letter);
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(is_end) {
        let (body, end) = match word.char_indices().next_back() {
            Some((at, last)) if is_end(last) => word.split_at(at),
            _ => (word, ""),
        };
        let secret = SECRETS.iter().filter_map(|begin| body.find(begin)).min();
        match secret {
            Some(at) => {
                out.push_str(&without_credentials(&body[..at]));
                out.push_str("(left out)");
            }
            None => out.push_str(&without_credentials(body)),
        }
        out.push_str(end);
    }
    out
}

/// `text` with every name that begins with `prefix` cut after it, and four digits of its hash so that two stay two.
fn concealed(text: &str, prefix: &str) -> String {
    let is_end = |letter: char| letter.is_whitespace() || "\"'`,;)".contains(letter);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(prefix) {
        let (before, name) = rest.split_at(at);
        let end = name[prefix.len()..].find(is_end).map_or(name.len(), |end| prefix.len() + end);
        let (name, after) = name.split_at(end);
        let hash: String = Sha256::digest(name).iter().take(2).map(|byte| format!("{byte:02x}")).collect();
        out.push_str(before);
        out.push_str(&short_prefix(prefix));
        out.push('…');
        out.push_str(&hash);
        rest = after;
    }
    out + rest
}

/// The part of a prefix that is shown: up to its first separator.
fn short_prefix(prefix: &str) -> String {
    let end =
        prefix.find(['/', ':', '.', '-', '_']).unwrap_or_else(|| prefix.char_indices().nth(1).map_or(prefix.len(), |(at, _)| at));
    prefix[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shy(prefixes: &[String]) -> Shy<'_> {
        Shy { confidential: prefixes }
    }

    #[test]
    fn mentions_and_markdown_of_others_are_only_text() {
        let open = shy(&[]);
        assert_eq!(open.code("<!channel> & *bold* <@U123>"), "`&lt;!channel&gt; &amp; *bold* &lt;@U123&gt;`");
        assert_eq!(open.code("a`b`\nc"), "`a'b' c`");
        assert_eq!(open.code("user\u{202e}txt.exe"), "`usertxt.exe`");
        assert_eq!(open.code(" "), "`-`");
        assert_eq!(open.code(&"x".repeat(400)).chars().count(), 162);
    }

    #[test]
    fn what_looks_like_a_secret_is_left_out() {
        let open = shy(&[]);
        let begun = ["xox", "b-12-canary"].concat();
        assert_eq!(open.hush(&format!("token {begun}, then")), "token (left out), then");
        assert_eq!(open.hush("fetch https://me:canary@host/x failed"), "fetch https://host/x failed");
        let both = ["https://me:canary@host/gh", "p_canary"].concat();
        assert_eq!(open.hush(&both), "https://host/(left out)");
        assert_eq!(open.hush("plain words, as they are"), "plain words, as they are");
    }

    #[test]
    fn a_confidential_name_is_short_and_two_of_them_stay_two() {
        let prefixes = ["acme/board/".to_owned()];
        let hidden = shy(&prefixes);
        let (one, two) = (hidden.hush("slm rotate acme/board/ceo"), hidden.hush("slm rotate acme/board/cfo"));
        assert!(one.starts_with("slm rotate acme…") && one.chars().count() == "slm rotate acme…".chars().count() + 4, "{one}");
        assert_ne!(one, two);
        assert_eq!(hidden.hush("acme/boardroom"), "acme/boardroom");
        assert!(!hidden.hush("arn:aws:secretsmanager:eu-west-1:1:secret:acme/board/ceo-a1b2, x").contains("ceo"));
        assert!(hidden.shows("slm rotate db") && !hidden.shows("slm rotate acme/board/ceo"));
    }

    proptest! {
        #[test]
        fn no_text_opens_a_mention_a_link_or_a_second_code_span(text in "[ -~\u{0}-\u{1f}é…<>&`*_~@!|]{0,300}") {
            let code = shy(&[]).code(&text);
            let inner = &code[1..code.len() - 1];
            prop_assert!(!inner.contains(['<', '>', '`', '\n', '\r']), "{}", code);
            prop_assert!(code.starts_with('`') && code.ends_with('`'));
            prop_assert!(code.chars().count() <= 2 + LONGEST * 5);
        }

        #[test]
        fn nothing_behind_a_confidential_prefix_is_shown(name in "[a-z]{5,20}", before in "[ -~]{0,40}") {
            let prefixes = ["acme/board/".to_owned()];
            let text = format!("{before} acme/board/{name}");
            let shown = shy(&prefixes).code(&text);
            let told = shown.split('…').next_back().unwrap_or_default();
            prop_assert!(!told.contains(&name) || before.contains(&name), "{}", shown);
        }
    }
}
