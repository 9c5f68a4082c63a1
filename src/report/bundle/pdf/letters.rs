//! How wide text is, and where a line breaks.

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

/// Inter, under the SIL Open Font License; see `fonts/OFL.txt`.
pub const REGULAR: &[u8] = include_bytes!("../../fonts/Inter-Regular.otf");
/// The same, heavier.
pub const BOLD: &[u8] = include_bytes!("../../fonts/Inter-SemiBold.otf");

/// Both weights.
pub struct Letters {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

impl Letters {
    /// `None` when what is compiled in is no font.
    pub fn new() -> Option<Self> {
        Some(Self { regular: FontRef::new(REGULAR).ok()?, bold: FontRef::new(BOLD).ok()? })
    }

    /// The width of `text` at `size`.
    pub fn width(&self, text: &str, size: f32, bold: bool) -> f32 {
        let font = if bold { &self.bold } else { &self.regular };
        let metrics = font.glyph_metrics(Size::new(size), LocationRef::default());
        let map = font.charmap();
        text.chars().map(|one| metrics.advance_width(map.map(one).unwrap_or_default()).unwrap_or_default()).sum()
    }

    /// True when there is no shape for something in `text`.
    pub fn lacks(&self, text: &str) -> bool {
        let map = self.regular.charmap();
        text.chars().any(|one| !one.is_whitespace() && map.map(one).is_none())
    }

    /// `text` in lines no wider than `wide`; a word that is wider alone is broken.
    pub fn lines(&self, text: &str, size: f32, bold: bool, wide: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(&longer, size, bold) <= wide {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for one in word.chars() {
                if !line.is_empty() && self.width(&format!("{line}{one}"), size, bold) > wide {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(one);
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }

    /// `text` cut to `wide`, with an ellipsis where something is missing.
    pub fn cut(&self, text: &str, size: f32, bold: bool, wide: f32) -> String {
        if self.width(text, size, bold) <= wide {
            return text.to_owned();
        }
        let mut kept = String::new();
        for one in text.chars() {
            if self.width(&format!("{kept}{one}…"), size, bold) > wide {
                break;
            }
            kept.push(one);
        }
        kept + "…"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_wider_than_they_may_be_and_nothing_is_lost() {
        let letters = Letters::new().unwrap();
        let text = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db is a name that is wider than a column";
        for wide in [40.0, 90.0, 300.0] {
            let lines = letters.lines(text, 9.0, false, wide);
            assert!(lines.iter().all(|line| letters.width(line, 9.0, false) <= wide), "{lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }
        assert_eq!(letters.lines("short", 9.0, false, 300.0), ["short"]);
        let cut = letters.cut(text, 9.0, true, 80.0);
        assert!(cut.ends_with('…') && letters.width(&cut, 9.0, true) <= 80.0, "{cut}");
        assert!(letters.width("wide", 9.0, true) > letters.width("wide", 9.0, false));
    }
}
