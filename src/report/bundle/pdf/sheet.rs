//! A page as marks at places: text and rectangles, from the top down, and a new page where the old one ends.

use super::letters::Letters;
use crate::report::bundle::strips::Stretch;

/// A4 in points.
pub const PAGE: (f32, f32) = (595.0, 842.0);
const LEFT: f32 = 56.0;
const TOP: f32 = 60.0;
const BOTTOM: f32 = 776.0;
const WIDE: f32 = PAGE.0 - 2.0 * LEFT;
/// Where the days of a strip begin.
const DAYS: f32 = 232.0;
/// The width of the word after the days.
const WORD: f32 = 74.0;
/// The most that the id of a control takes of what is before them.
const ID: f32 = 130.0;

/// What a mark is drawn with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ink {
    /// Text.
    Text,
    /// Text that matters less.
    Soft,
    /// Lines between things.
    Rule,
    /// A look by its name.
    Look(&'static str),
}

/// Something on a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// Text by its baseline.
    Text { x: f32, y: f32, size: f32, ink: Ink, bold: bool, text: String },
    /// A rectangle by its upper left corner.
    Rect { x: f32, y: f32, wide: f32, high: f32, ink: Ink },
}

/// Pages being filled.
pub struct Sheet {
    letters: Letters,
    foot: String,
    pages: Vec<Vec<Mark>>,
    y: f32,
}

impl Sheet {
    pub fn new(letters: Letters, foot: String) -> Self {
        Self { letters, foot, pages: vec![Vec::new()], y: TOP }
    }

    /// The pages, each with its foot.
    pub fn pages(mut self) -> Vec<Vec<Mark>> {
        let count = self.pages.len();
        for (at, page) in self.pages.iter_mut().enumerate() {
            let number = format!("{} of {count}", at + 1);
            let x = LEFT + WIDE - self.letters.width(&number, 8.0, false);
            page.push(Mark::Rect { x: LEFT, y: 796.0, wide: WIDE, high: 0.5, ink: Ink::Rule });
            page.push(Mark::Text { x: LEFT, y: 810.0, size: 8.0, ink: Ink::Soft, bold: false, text: self.foot.clone() });
            page.push(Mark::Text { x, y: 810.0, size: 8.0, ink: Ink::Soft, bold: false, text: number });
        }
        self.pages
    }

    /// True when there was no shape for something that was put on them.
    pub fn lacks(&self) -> bool {
        let text = |mark: &Mark| matches!(mark, Mark::Text { text, .. } if self.letters.lacks(text));
        self.pages.iter().flatten().any(text) || self.letters.lacks(&self.foot)
    }

    fn put(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn text(&mut self, x: f32, size: f32, ink: Ink, bold: bool, text: &str) {
        self.put(Mark::Text { x, y: self.y + size * 0.8, size, ink, bold, text: text.to_owned() });
    }

    pub fn page(&mut self) {
        self.pages.push(Vec::new());
        self.y = TOP;
    }

    pub fn down(&mut self, by: f32) {
        self.y += by;
    }

    /// Down to `y`, unless it is passed already.
    pub fn to(&mut self, y: f32) {
        self.y = self.y.max(y);
    }

    /// A new page unless `high` fits on this one.
    fn room(&mut self, high: f32) -> bool {
        let new = self.y + high > BOTTOM;
        if new {
            self.page();
        }
        new
    }

    pub fn line(&mut self, size: f32, ink: Ink, bold: bool, text: &str) {
        self.room(size * 1.4);
        let text = self.letters.cut(text, size, bold, WIDE);
        self.text(LEFT, size, ink, bold, &text);
        self.y += size * 1.4;
    }

    pub fn paragraph(&mut self, size: f32, ink: Ink, bold: bool, text: &str) {
        for line in self.letters.lines(text, size, bold, WIDE) {
            self.room(size * 1.45);
            self.text(LEFT, size, ink, bold, &line);
            self.y += size * if bold { 1.2 } else { 1.45 };
        }
    }

    pub fn heading(&mut self, text: &str) {
        self.paragraph(16.0, Ink::Text, true, text);
        self.y += 6.0;
    }

    /// A heading on this page, or on the next when little is left of it.
    pub fn section(&mut self, text: &str) {
        self.y += 26.0;
        self.room(120.0);
        self.heading(text);
    }

    /// Names with values, three beside each other.
    pub fn facts(&mut self, facts: &[(String, String, Option<&'static str>)]) {
        let wide = WIDE / 3.0;
        for row in facts.chunks(3) {
            self.room(48.0);
            self.put(Mark::Rect { x: LEFT, y: self.y, wide: WIDE, high: 0.5, ink: Ink::Rule });
            for (at, (name, value, look)) in row.iter().enumerate() {
                let mut x = LEFT + wide * at as f32;
                self.put(Mark::Text { x, y: self.y + 34.0, size: 16.0, ink: Ink::Text, bold: true, text: value.clone() });
                if let Some(look) = look {
                    self.put(Mark::Rect { x, y: self.y + 8.0, wide: 7.0, high: 7.0, ink: Ink::Look(look) });
                    x += 11.0;
                }
                self.put(Mark::Text { x, y: self.y + 14.5, size: 8.5, ink: Ink::Soft, bold: false, text: name.clone() });
            }
            self.y += 46.0;
        }
    }

    pub fn signature(&mut self, names: &[&str]) {
        let wide = (WIDE - 24.0) / names.len() as f32;
        for (at, name) in names.iter().enumerate() {
            let x = LEFT + (wide + 24.0) * at as f32;
            self.put(Mark::Rect { x, y: self.y, wide, high: 0.7, ink: Ink::Text });
            self.put(Mark::Text { x, y: self.y + 12.0, size: 8.5, ink: Ink::Soft, bold: false, text: format!("{name}, date") });
        }
    }

    pub fn legend(&mut self) {
        self.y += 6.0;
        let mut x = LEFT;
        for look in ["compliant", "excepted", "no-evidence", "non-compliant", "no-run", "not-applicable"] {
            self.put(Mark::Rect { x, y: self.y, wide: 8.0, high: 8.0, ink: Ink::Look(look) });
            let word =
                look.replace("no-run", "no run").replace("no-evidence", "no evidence").replace("not-applicable", "not applicable");
            self.put(Mark::Text { x: x + 11.0, y: self.y + 7.0, size: 8.5, ink: Ink::Soft, bold: false, text: word.clone() });
            x += 24.0 + self.letters.width(&word, 8.5, false);
        }
        self.y += 18.0;
    }

    /// Months above the days.
    pub fn axis<'a>(&mut self, days: usize, months: impl Iterator<Item = (usize, &'a str)>) {
        let one = (WIDE - DAYS - WORD) / days.max(1) as f32;
        let mut last = f32::MIN;
        for (start, name) in months {
            let x = LEFT + DAYS + one * (start - 1) as f32;
            if x >= last {
                self.put(Mark::Text { x, y: self.y + 6.0, size: 7.0, ink: Ink::Soft, bold: false, text: name.to_owned() });
                last = x + self.letters.width(name, 7.0, false) + 4.0;
            }
        }
        self.y += 10.0;
    }

    /// A control in one row, as high as the word after it.
    pub fn strip(&mut self, id: &str, title: &str, word: &str, days: usize, strip: &[Stretch]) {
        let words = self.letters.lines(word, 8.5, false, WORD - 8.0);
        let high = 3.0 + 11.0 * words.len().max(1) as f32;
        self.room(high + 1.0);
        let one = (WIDE - DAYS - WORD) / days.max(1) as f32;
        let id = self.letters.cut(id, 8.5, true, ID);
        self.text(LEFT, 8.5, Ink::Text, true, &id);
        let begins = (self.letters.width(&id, 8.5, true) + 8.0).max(48.0);
        let title = self.letters.cut(title, 8.5, false, DAYS - begins - 8.0);
        self.text(LEFT + begins, 8.5, Ink::Text, false, &title);
        for part in strip.iter().filter(|part| part.class != "absent" && part.class != "not-judged") {
            let (x, wide) = (LEFT + DAYS + one * (part.start - 1) as f32, one * part.days as f32);
            self.put(Mark::Rect { x, y: self.y - 0.5, wide, high: 9.0, ink: Ink::Look(part.class) });
        }
        let top = self.y;
        for line in words {
            self.text(LEFT + WIDE - WORD + 8.0, 8.5, Ink::Soft, false, &line);
            self.y += 11.0;
        }
        self.y = top + high;
    }

    pub fn head(&mut self, columns: &[(&str, f32)]) {
        self.room(40.0);
        self.y += 4.0;
        let mut x = LEFT;
        for (name, wide) in columns {
            self.text(x, 8.0, Ink::Soft, false, name);
            x += wide;
        }
        self.y += 13.0;
        self.put(Mark::Rect { x: LEFT, y: self.y - 2.0, wide: WIDE, high: 0.5, ink: Ink::Rule });
        self.y += 3.0;
    }

    /// A row of a table, as high as its highest cell.
    pub fn row(&mut self, columns: &[(&str, f32)], cells: &[&str], grave: bool) {
        let cells: Vec<Vec<String>> =
            columns.iter().zip(cells).map(|((_, wide), cell)| self.letters.lines(cell, 8.5, false, wide - 8.0)).collect();
        let high = cells.iter().map(Vec::len).max().unwrap_or(1) as f32 * 11.0;
        if self.room(high + 6.0) {
            self.head(columns);
        }
        if grave {
            self.put(Mark::Rect { x: LEFT - 7.0, y: self.y - 1.0, wide: 2.5, high: high + 1.0, ink: Ink::Look("non-compliant") });
        }
        let (top, mut x) = (self.y, LEFT);
        for ((_, wide), lines) in columns.iter().zip(&cells) {
            for line in lines {
                self.text(x, 8.5, Ink::Text, false, line);
                self.y += 11.0;
            }
            self.y = top;
            x += wide;
        }
        self.y = top + high + 1.5;
        self.put(Mark::Rect { x: LEFT, y: self.y, wide: WIDE, high: 0.3, ink: Ink::Rule });
        self.y += 4.0;
    }

    /// A name and its value, which may take several lines.
    pub fn pair(&mut self, name: &str, value: &str) {
        for (at, line) in self.letters.lines(value, 9.5, false, WIDE - 80.0).iter().enumerate() {
            self.room(14.0);
            if at == 0 {
                self.text(LEFT, 9.5, Ink::Soft, false, name);
            }
            self.text(LEFT + 80.0, 9.5, Ink::Text, false, line);
            self.y += 14.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each text of `sheet` begins and ends, and its baseline.
    fn texts(sheet: &Sheet) -> Vec<(f32, f32, f32)> {
        let text = |mark: &Mark| match mark {
            Mark::Text { x, y, size, bold, text, .. } => Some((*x, x + sheet.letters.width(text, *size, *bold), *y)),
            Mark::Rect { .. } => None,
        };
        sheet.pages.iter().flatten().filter_map(text).collect()
    }

    fn sheet() -> Sheet {
        Sheet::new(Letters::new().unwrap(), String::new())
    }

    #[test]
    fn a_row_keeps_its_parts_apart_and_on_the_page_however_long_they_are() {
        let mut sheet = sheet();
        sheet.strip(&"L".repeat(130), &"title ".repeat(40), "non-compliant, declared no more", 1, &[]);
        let mut all = texts(&sheet);
        assert_eq!(all.len(), 5, "id, title, and a word of three lines");
        all.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(all.iter().all(|(_, ends, _)| *ends <= LEFT + WIDE), "{all:?}");
        assert!(all[0].1 < all[1].0 && all[1].1 <= LEFT + DAYS, "{all:?}");
        let below = sheet.y;
        sheet.strip("ROT-01", "Keys are young", "compliant", 1, &[]);
        let next = texts(&sheet)[5].2;
        assert!(next > below && all[2..].iter().all(|one| one.2 < below), "the next row begins below all of it");
    }

    #[test]
    fn what_there_is_no_shape_for_is_noticed() {
        let mut sheet = sheet();
        sheet.line(9.0, Ink::Text, false, "Schl\u{fc}ssel \u{2013} keys");
        assert!(!sheet.lacks());
        sheet.line(9.0, Ink::Text, false, "\u{9375}");
        assert!(sheet.lacks());
    }
}
