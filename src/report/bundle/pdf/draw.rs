//! Marks become PDF.

use std::fmt;

use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};

use super::letters::{BOLD, REGULAR};
use super::sheet::{Ink, Mark, PAGE};

/// Why there are no pages.
#[derive(Debug)]
pub enum Error {
    /// What is compiled in is no font.
    Font,
    /// They cannot be written.
    Written(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Font => f.write_str("the font of the summary cannot be read"),
            Self::Written(error) => write!(f, "the summary cannot be written as PDF: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// `pages` as one document.
///
/// # Errors
/// When a font cannot be used, or the document cannot be written.
pub fn draw(pages: &[Vec<Mark>], title: &str) -> Result<Vec<u8>, Error> {
    let font = |bytes: &[u8]| Font::new(bytes.to_vec().into(), 0).ok_or(Error::Font);
    let (regular, bold) = (font(REGULAR)?, font(BOLD)?);
    let mut document = Document::new();
    // Without a date: the same evidence gives the same bytes.
    document.set_metadata(Metadata::new().title(title.to_owned()).language("en".to_owned()));
    for marks in pages {
        let settings = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or_else(|| Error::Written("a page has no size".to_owned()))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        for mark in marks {
            match mark {
                Mark::Rect { x, y, wide, high, ink } => rect(&mut surface, (*x, *y, *wide, *high), *ink),
                Mark::Text { x, y, size, ink, bold: is_bold, text } => {
                    surface.set_fill(Some(fill(*ink)));
                    let font = if *is_bold { &bold } else { &regular };
                    surface.draw_text(Point::from_xy(*x, *y), font.clone(), *size, text, false, TextDirection::LeftToRight);
                }
            }
        }
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|error| Error::Written(format!("{error:?}")))
}

fn rect(surface: &mut Surface<'_>, (x, y, wide, high): (f32, f32, f32, f32), ink: Ink) {
    let mut path = PathBuilder::new();
    if let Some(rect) = Rect::from_xywh(x, y, wide, high) {
        path.push_rect(rect);
    }
    if let Some(path) = path.finish() {
        surface.set_fill(Some(fill(ink)));
        surface.draw_path(&path);
    }
}

fn fill(ink: Ink) -> Fill {
    let (r, g, b) = match ink {
        Ink::Text => (27, 34, 48),
        Ink::Soft => (91, 100, 114),
        Ink::Rule => (205, 203, 196),
        Ink::Look("compliant" | "signed") => (74, 146, 112),
        Ink::Look("excepted") => (91, 134, 201),
        Ink::Look("no-evidence") => (185, 140, 28),
        Ink::Look("non-compliant") => (194, 58, 43),
        Ink::Look("manual") => (122, 106, 168),
        Ink::Look("no-run") => (244, 242, 236),
        Ink::Look(_) => (201, 206, 213),
    };
    Fill { paint: rgb::Color::new(r, g, b).into(), opacity: NormalizedF32::ONE, rule: krilla::paint::FillRule::default() }
}
