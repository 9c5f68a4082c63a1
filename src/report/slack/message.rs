//! One message of Slack, within its limits: 50 blocks, 3000 characters a section, 150 a header, 10 000 in all.

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::text::{escaped, shortened};

/// Characters of all text of one message, those of the plain text included.
pub const BUDGET: usize = 10_000;
/// Blocks of one message.
pub const BLOCKS: usize = 50;
/// Characters of one section.
pub const SECTION: usize = 3_000;
/// Characters of a header.
pub const HEADER: usize = 150;
/// Characters of the plain text.
const PLAIN: usize = 600;
/// What is kept for the line that counts what did not fit, and for the context.
const KEPT: usize = 700;
/// Characters of the context, of which each may be written as five.
const CONTEXT: usize = 110;

/// A message that grows as long as it fits.
#[derive(Default)]
pub struct Message {
    blocks: Vec<Json>,
    /// Lines of the section that is being filled.
    section: String,
    /// Characters so far.
    used: usize,
    /// Lines that did not fit.
    left: usize,
}

impl Message {
    /// A message with a header, plain text.
    #[must_use]
    pub fn headed(text: &str) -> Self {
        let text = shortened(text, HEADER);
        let used = text.chars().count() + PLAIN + KEPT;
        Self {
            blocks: vec![json!({ "type": "header", "text": { "type": "plain_text", "text": text, "emoji": false } })],
            section: String::new(),
            used,
            left: 0,
        }
    }

    /// Adds `lines` below `title`, as many as fit; the rest is counted at the end.
    pub fn section(&mut self, title: &str, lines: &[String]) {
        let Some(first) = lines.first() else { return };
        self.flush();
        let room = self.used + title.chars().count() + first.chars().count() + 6 <= BUDGET;
        let begun = room && (title.is_empty() || self.line(&format!("*{title}*")));
        let shown = if begun { lines.iter().take_while(|line| self.line(line)).count() } else { 0 };
        self.left += lines.len() - shown;
    }

    /// Adds a line; false when there is no room for it.
    pub fn line(&mut self, line: &str) -> bool {
        let length = line.chars().count() + 1;
        // Blocks stay free for what is counted, for the context, and for what is not flushed yet.
        if length > SECTION || self.used + length > BUDGET || self.blocks.len() + 4 > BLOCKS {
            return false;
        }
        self.push(line);
        true
    }

    fn push(&mut self, line: &str) {
        let length = line.chars().count() + 1;
        if self.section.chars().count() + length > SECTION {
            self.flush();
        }
        if !self.section.is_empty() {
            self.section.push('\n');
        }
        self.section.push_str(line);
        self.used += length;
    }

    fn flush(&mut self) {
        if self.section.is_empty() || self.blocks.len() >= BLOCKS {
            return;
        }
        let text = std::mem::take(&mut self.section);
        self.blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } }));
    }

    /// SHA-256 of what it says, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(json!(self.blocks).to_string());
        hash.update(&self.section);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The message, with `context` in small print below and `plain` where blocks are not shown.
    #[must_use]
    pub fn done(mut self, plain: &str, context: &str) -> (String, Json) {
        if self.left > 0 {
            // Room for this was kept.
            self.push(&format!("and {} more: `slm report drift` has all", self.left));
        }
        self.flush();
        let context = shortened(context, CONTEXT);
        if !context.is_empty() && self.blocks.len() < BLOCKS {
            self.blocks.push(
                json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": escaped(&context), "verbatim": true }] }),
            );
        }
        let plain = cut(plain, PLAIN);
        (plain.clone(), json!({ "text": plain, "blocks": self.blocks }))
    }
}

/// Text that is escaped already, cut before a character that does not fit, and not inside of what stands for one.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(most - 1).collect();
    if let Some(at) = kept.rfind('&').filter(|at| !kept[*at..].contains(';')) {
        kept.truncate(at);
    }
    format!("{kept}…")
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every text of `body`, and whether it is within the limits.
    pub(crate) fn fits(body: &Json) -> Result<(), String> {
        let blocks = body["blocks"].as_array().ok_or("no blocks")?;
        let mut all = body["text"].as_str().ok_or("no text")?.chars().count();
        if blocks.is_empty() || blocks.len() > BLOCKS {
            return Err(format!("{} blocks", blocks.len()));
        }
        for block in blocks {
            let (text, most) = match block["type"].as_str() {
                Some("header") => (&block["text"]["text"], HEADER),
                Some("section") => (&block["text"]["text"], SECTION),
                Some("context") => (&block["elements"][0]["text"], SECTION),
                other => return Err(format!("block of type {other:?}")),
            };
            let length = text.as_str().ok_or("a block without text")?.chars().count();
            if length == 0 || length > most {
                return Err(format!("{length} characters in {}", block["type"]));
            }
            all += length;
        }
        if all > BUDGET { Err(format!("{all} characters")) } else { Ok(()) }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut message = Message::headed("prod");
        let lines: Vec<String> = (0..400).map(|number| format!("line {number} {}", "x".repeat(60))).collect();
        message.section("Open", &lines);
        let (_, body) = message.done("plain", "as of now");
        assert_eq!(fits(&body), Ok(()));
        let text = body.to_string();
        let shown = text.matches("line ").count();
        assert!(shown > 100 && text.contains(&format!("and {} more: `slm report drift` has all", 400 - shown)), "{shown}");
    }

    #[test]
    fn a_cut_leaves_no_half_of_what_stands_for_a_character() {
        let text = format!("{}&amp;tail", "x".repeat(597));
        assert_eq!(cut(&text, 600), format!("{}…", "x".repeat(597)));
        assert_eq!(cut("short &amp;", 600), "short &amp;");
    }

    proptest! {
        #[test]
        fn no_message_is_over_a_limit(
            head in "\\PC{0,300}",
            sections in prop::collection::vec((0_usize..80, 1_usize..3_200), 0..70),
            plain in "\\PC{0,900}",
            context in "\\PC{1,900}",
        ) {
            let mut message = Message::headed(&format!("h{head}"));
            for (count, length) in sections {
                message.section("Title", &vec!["y".repeat(length); count]);
            }
            let (_, body) = message.done(&format!("p{plain}"), &format!("c{context}"));
            prop_assert_eq!(fits(&body), Ok(()));
        }
    }
}
