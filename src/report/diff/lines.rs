//! Lines that know which of their words are the user's, as text for a terminal and as markdown from which no mention, link or tag can come.

use std::fmt::Write as _;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Our own words.
    Ours(String),
    /// Words from the config repo, the locker or a solver.
    Theirs(String),
}

/// One line, with what belongs below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pieces: Vec<Piece>,
    below: Vec<Self>,
}

/// A heading and its lines.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line>,
}

impl Line {
    pub(super) fn new(ours: impl Into<String>) -> Self {
        Self::default().ours(ours)
    }

    pub(super) fn theirs_first(theirs: impl ToString) -> Self {
        Self::default().theirs(theirs)
    }

    /// Adds words of ours.
    pub(super) fn ours(mut self, text: impl Into<String>) -> Self {
        self.pieces.push(Piece::Ours(text.into()));
        self
    }

    /// Adds words of theirs.
    pub(super) fn theirs(mut self, text: impl ToString) -> Self {
        self.pieces.push(Piece::Theirs(text.to_string()));
        self
    }

    /// Adds a list of theirs.
    pub(super) fn list<T: std::fmt::Display>(mut self, items: &[T]) -> Self {
        for (at, item) in items.iter().enumerate() {
            self = if at == 0 { self } else { self.ours(", ") }.theirs(item);
        }
        self
    }

    /// Puts `lines` below it.
    pub(super) fn with(mut self, lines: impl IntoIterator<Item = Self>) -> Self {
        self.below.extend(lines);
        self
    }

    pub(super) fn human(&self, depth: usize, text: &mut String) {
        let mut line = "  ".repeat(depth);
        for piece in &self.pieces {
            match piece {
                Piece::Ours(ours) => line.push_str(ours),
                Piece::Theirs(theirs) => line.push_str(&printable(theirs)),
            }
        }
        let _ = writeln!(text, "{}", line.trim_end());
        self.below.iter().for_each(|below| below.human(depth + 1, text));
    }

    fn item(&self, depth: usize, text: &mut String) {
        let words = self.pieces.iter().map(|piece| match piece {
            Piece::Ours(ours) => ours.clone(),
            Piece::Theirs(theirs) => code(theirs),
        });
        let words: String = words.collect();
        let _ = writeln!(text, "{}- {}", "  ".repeat(depth), words.trim_end());
        self.below.iter().for_each(|below| below.item(depth + 1, text));
    }

    /// As an item of a list; folded when anything is below it.
    fn markdown(&self, text: &mut String) {
        if self.below.is_empty() {
            return self.item(0, text);
        }
        let words = self.pieces.iter().map(|piece| match piece {
            Piece::Ours(ours) => ours.clone(),
            Piece::Theirs(theirs) => tag(theirs),
        });
        let words: String = words.collect();
        let _ = writeln!(text, "\n<details><summary>{}</summary>\n", words.trim_end());
        self.below.iter().for_each(|below| below.item(0, text));
        text.push_str("\n</details>\n\n");
    }
}

impl Section {
    pub(super) fn human(&self, text: &mut String) {
        let _ = writeln!(text, "\n{}", self.title);
        self.lines.iter().for_each(|line| line.human(1, text));
    }

    pub(super) fn markdown(&self, text: &mut String) {
        let mut own = String::new();
        self.lines.iter().for_each(|line| line.markdown(&mut own));
        // Between two folded lines one empty line is enough; no line of theirs is empty.
        let own = own.replace("\n\n\n", "\n\n");
        let _ = writeln!(text, "\n#### {}\n\n{}", self.title, own.trim_matches('\n'));
    }
}

/// At most `most` lines, and how many more there are.
pub(super) fn at_most(most: usize, mut lines: Vec<Line>) -> Vec<Line> {
    let more = lines.len().saturating_sub(most);
    if more > 0 {
        lines.truncate(most);
        lines.push(Line::new(format!("and {more} more, all of them in `slm diff --format json`")));
    }
    lines
}

/// `text` on one line, with everything as an escape that a terminal obeys or that hides what is written.
pub(super) fn printable(text: &str) -> String {
    let hides = |one: char| {
        one.is_control() || matches!(one, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|one| if hides(one) { one.escape_default().to_string() } else { one.to_string() }).collect()
}

/// `text` as a code span of markdown: nothing in it is a mention, a link or a tag.
#[must_use]
pub fn code(text: &str) -> String {
    let text = printable(text);
    let (mut longest, mut run) = (0, 0);
    for one in text.chars() {
        run = if one == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    // A space on both sides is taken away; a span of spaces alone is kept as it is.
    let pad = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The same inside a tag, where markdown is not read.
fn tag(text: &str) -> String {
    let text = printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<code>{text}</code>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_user_wrote_ends_its_code_span_or_its_tag() {
        for (raw, span) in [
            ("plain", "`plain`"),
            ("@acme/everybody #1", "`@acme/everybody #1`"),
            ("a `b` c", "``a `b` c``"),
            ("```", "```` ``` ````"),
            ("", "`  `"),
            ("one\ntwo\u{1b}[2J\u{202e}x", "`one\\ntwo\\u{1b}[2J\\u{202e}x`"),
        ] {
            assert_eq!(code(raw), span);
        }
        assert_eq!(tag("</code><img src=x>&\n"), "<code>&lt;/code&gt;&lt;img src=x&gt;&amp;\\n</code>");
    }

    #[test]
    fn lines_are_items_and_are_folded_where_something_is_below_them() {
        let line = Line::new("control ").theirs("A<1>").with([Line::new("was ").theirs("`x`").ours(", is more")]);
        let section = Section { title: "Controls", lines: vec![line, Line::new("alone")] };
        let (mut human, mut markdown) = (String::new(), String::new());
        section.human(&mut human);
        section.markdown(&mut markdown);
        assert_eq!(human, "\nControls\n  control A<1>\n    was `x`, is more\n  alone\n");
        assert_eq!(
            markdown,
            "\n#### Controls\n\n<details><summary>control <code>A&lt;1&gt;</code></summary>\n\n- was `` `x` ``, is more\n\n</details>\n\n- alone\n"
        );
        let many = at_most(1, vec![Line::new("a"), Line::new("b"), Line::new("c")]);
        assert_eq!(many[1], Line::new("and 2 more, all of them in `slm diff --format json`"));
    }
}
