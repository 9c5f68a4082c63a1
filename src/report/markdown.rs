//! Foreign text inside GitHub's markdown: shown as it is, and never mark-up, a mention, a reference or a link.

/// The longest foreign text that is shown; more is in the artefact.
const LONGEST: usize = 400;
/// Nothing to be seen, between two characters that mean something together.
const APART: &str = "&#8203;";

/// Foreign text in running text: every character that GitHub would read as more than itself is defused.
#[must_use]
pub fn prose(text: &str) -> String {
    defused(plain(text))
}

fn defused(text: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    let mut before = [' ', ' ', ' '];
    for character in text {
        let word = |end: &str| before.iter().rev().zip(end.chars().rev()).all(|(a, b)| a.eq_ignore_ascii_case(&b));
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' | '#' => {
                out.push(character);
                out.push_str(APART);
            }
            // `GH-12` is a reference as `#12` is.
            '-' if word("gh") => {
                out.push('-');
                out.push_str(APART);
            }
            '.' if word("www") => out.push_str("\\."),
            '-' | '+' | '=' if out.is_empty() => {
                out.push('\\');
                out.push(character);
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '|' | '~' | '!' | '$' | ':' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
        before = [before[1], before[2], character];
    }
    out
}

/// Foreign text in running text whose words between backticks are code. Where these do not come in pairs it is [`prose`] as a whole.
#[must_use]
pub fn spans(text: &str) -> String {
    spanned(&plain(text).collect::<String>())
}

/// The same of a line of ours with names of others in it, which is as long as it must be.
#[must_use]
pub fn line(text: &str) -> String {
    spanned(&text.chars().map(shape).collect::<String>())
}

fn spanned(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let empty = |at: usize| parts.get(at).is_some_and(|part| part.trim().is_empty());
    if parts.len().is_multiple_of(2) || (1..parts.len()).step_by(2).any(empty) {
        return defused(text.chars());
    }
    parts.iter().enumerate().map(|(at, part)| if at % 2 == 0 { defused(part.chars()) } else { code(part) }).collect()
}

/// Foreign text as code, where nothing is mark-up and nobody is mentioned.
#[must_use]
pub fn code(text: &str) -> String {
    let text: String = plain(text).collect();
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A space on both sides is taken away again when there is one on both.
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Foreign text as a block of code, on as many lines as it has.
#[must_use]
pub fn block(text: &str) -> String {
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", visible(text).trim_end())
}

/// Foreign text inside an HTML element, where markdown is not read.
#[must_use]
pub fn html(text: &str) -> String {
    let mut out = String::new();
    for character in plain(text) {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '@' | '#' => {
                out.push(character);
                out.push_str(APART);
            }
            '-' if out.as_bytes().last_chunk::<2>().is_some_and(|end| end.eq_ignore_ascii_case(b"gh")) => {
                out.push('-');
                out.push_str(APART);
            }
            _ => out.push(character),
        }
    }
    out
}

/// Foreign text where nothing is mark-up, on as many lines as it has: what hides or turns what is written is told as such.
#[must_use]
pub fn visible(text: &str) -> String {
    let shown = |character: char| if character == '\n' { character } else { shape(character) };
    text.chars().map(shown).collect()
}

/// Text for a terminal, which does what characters without a shape tell it to: those are told as such.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |character: char| if matches!(character, '\n' | '\t') { character } else { shape(character) };
    text.chars().map(shown).collect()
}

/// The characters of `text` on one line, no more than are shown.
fn plain(text: &str) -> impl Iterator<Item = char> {
    let cut = text.chars().nth(LONGEST).is_some();
    text.chars().take(LONGEST).map(shape).chain(cut.then_some('…'))
}

/// `character` as it is shown on one line. What has no shape of its own or turns the direction of others is told as such.
fn shape(character: char) -> char {
    match character {
        '\n' | '\r' | '\t' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        character if character.is_control() => '\u{fffd}',
        character => character,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_text_is_shown_and_does_nothing() {
        assert_eq!(prose("@acme/security see #12 or GH-3"), "@&#8203;acme/security see #&#8203;12 or GH-&#8203;3");
        assert_eq!(prose("[x](https://evil) ![y](z)"), "\\[x\\]\\(https\\://evil\\) \\!\\[y\\]\\(z\\)");
        assert_eq!(prose("</details><script>&#64;me"), "&lt;/details&gt;&lt;script&gt;&amp;#&#8203;64;me");
        assert_eq!(prose("www.evil.example\nnext | `x` $a$"), "www\\.evil.example next \\| \\`x\\` \\$a\\$");
        assert_eq!(prose("- not a list"), "\\- not a list");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(code(" \n"), "(empty)");
        assert_eq!(html("gh-3 or g-h"), "gh-&#8203;3 or g-h");
        assert_eq!(html("<b>@me \"#1\"</b>"), "&lt;b&gt;@&#8203;me &quot;#&#8203;1&quot;&lt;/b&gt;");
        assert_eq!(prose("safe\u{202e}evil\u{7}"), "safe\u{fffd}evil\u{fffd}");
        assert_eq!(block("  one @me\n````\n\u{202e}two\n\n"), "`````text\n  one @me\n````\n\u{fffd}two\n`````\n");
        assert_eq!(printable("one\ttwo\nsafe\u{202e}evil\u{1b}[2J\r"), "one\ttwo\nsafe\u{fffd}evil\u{fffd}[2J ");
        assert_eq!(visible("one\nsafe\u{202e}evil\u{1b}[2J <b>"), "one\nsafe\u{fffd}evil\u{fffd}[2J <b>");
    }

    #[test]
    fn words_between_backticks_are_code_and_the_rest_is_prose_whatever_the_backticks_are_worth() {
        assert_eq!(spans("attribute `ownr` of `Vault::Secret` @me"), "attribute `ownr` of `Vault::Secret` @&#8203;me");
        assert_eq!(spans("`a` [b](c) `d"), "\\`a\\` \\[b\\]\\(c\\) \\`d");
        assert_eq!(spans("a `` b"), "a \\`\\` b");
        assert_eq!(spans("`<b> @everyone` <b>"), "`<b> @everyone` &lt;b&gt;");
        assert_eq!(spans("plain"), "plain");
    }

    #[test]
    fn what_is_longer_than_anybody_reads_is_cut_and_says_so() {
        let shown = code(&"x".repeat(5_000));
        assert_eq!(shown, format!("`{}…`", "x".repeat(LONGEST)));
        let days = "2026-03-03, ".repeat(50);
        assert_eq!(line(&days), days, "a line of ours is not");
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_character_that_means_something(text in "[@#<>\\[\\]()`*_|!&\\\\ghwGHW.:/a1\\n -]{0,40}") {
            let shown = prose(&text);
            prop_assert!(!shown.contains(['<', '>', '\n']), "{shown}");
            let characters: Vec<char> = shown.chars().collect();
            for (at, character) in characters.iter().enumerate() {
                let rest: String = characters[at + 1..].iter().collect();
                let backslashes = characters[..at].iter().rev().take_while(|before| **before == '\\').count();
                match character {
                    '@' => prop_assert!(rest.starts_with(APART), "{shown}"),
                    '#' => prop_assert!(rest.starts_with(APART) || rest.starts_with("8203;"), "{shown}"),
                    '`' | '*' | '_' | '[' | ']' | '(' | ')' | '|' | '!' | ':' => {
                        prop_assert!(backslashes % 2 == 1, "{shown}");
                    }
                    _ => {}
                }
            }
        }

        #[test]
        fn what_stands_outside_of_the_code_of_a_text_is_defused(text in "[@<>\\[\\]()`*a \\n]{0,40}") {
            let shown = spans(&text);
            // Without what is escaped, backticks open and close code.
            let bare = shown.replace("\\`", "");
            for (at, part) in bare.split('`').enumerate() {
                prop_assert!(at % 2 == 1 || !part.contains(['<', '>', '\n']), "{shown}");
                prop_assert!(at % 2 == 1 || !part.replace("@&#8203;", "").contains('@'), "{shown}");
            }
            prop_assert_eq!(bare.matches('`').count() % 2, 0);
        }

        #[test]
        fn code_is_one_span_whatever_is_in_it(text in "[`a \\n]{0,30}") {
            let shown = code(&text);
            prop_assume!(shown != "(empty)");
            let fence = shown.chars().take_while(|character| *character == '`').count();
            let inner = &shown[fence..shown.len() - fence];
            prop_assert!(shown.ends_with(&"`".repeat(fence)) && !shown.contains('\n'));
            let runs = inner.split(|character| character != '`').map(str::len);
            prop_assert!(runs.into_iter().all(|run| run != fence), "{shown}");
        }

        #[test]
        fn html_never_closes_what_it_stands_in(text in "[<>/\"&@#a-z]{0,40}") {
            prop_assert!(!html(&text).contains(['<', '>', '"']));
        }
    }
}
