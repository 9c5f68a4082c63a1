//! ZIPs that are read as one thing, and others that are read as two.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use super::super::zipped::pack;
use super::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    names(&mut Cursor::new(bytes)).map(|names| names.into_iter().collect()).map_err(|error| error.to_string())
}

/// With files of these names, each with its bytes, in this order.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Whatever `from` is in `bytes` is `to`, which is as long.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|part| part == from) {
        bytes[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + to.len();
    }
    bytes
}

#[test]
fn what_slm_packs_is_read_as_what_it_is() {
    let files = BTreeMap::from([("b/x.txt".to_owned(), vec![7_u8; 100_000]), ("a.txt".to_owned(), b"a".to_vec())]);
    assert_eq!(read(&pack(&files).unwrap()), Ok(vec!["a.txt".to_owned(), "b/x.txt".to_owned()]));
    assert_eq!(read(&pack(&BTreeMap::new()).unwrap()), Ok(Vec::new()));
    let mut many = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    (0..70_000).for_each(|number| many.start_file(number.to_string(), stored).unwrap());
    let many = read(&many.finish().unwrap().into_inner());
    assert_eq!(many.map(|names| names.len()), Ok(70_000), "more than the short form of the list has room for");
}

#[test]
fn what_other_programs_pack_is_read_as_well() {
    let mut streamed = ZipWriter::new_stream(Vec::new());
    for name in ["a", "b"] {
        streamed.start_file(name, SimpleFileOptions::default()).unwrap();
        streamed.write_all(b"bytes").unwrap();
    }
    assert_eq!(read(&streamed.finish().unwrap().into_inner()), Ok(vec!["a".to_owned(), "b".to_owned()]), "lengths come afterwards");
    let mut folders = ZipWriter::new(Cursor::new(Vec::new()));
    folders.add_directory("é/", SimpleFileOptions::default()).unwrap();
    assert_eq!(read(&folders.finish().unwrap().into_inner()), Ok(vec!["é/".to_owned()]));
}

#[test]
fn a_name_that_is_there_twice_is_found() {
    let twice = replaced(&zip(&[("one", b"forged"), ("two", b"genuine")]), b"two", b"one");
    assert_eq!(read(&twice), Err("it has `one` twice: which of the two is unpacked is for the program to choose".to_owned()));
}

#[test]
fn a_folder_has_no_bytes() {
    let folder = replaced(&zip(&[("abc", b"forged")]), b"abc", b"ab/");
    assert_eq!(read(&folder), Err("`ab/` is a folder by its name and has bytes".to_owned()));
}

#[test]
fn what_is_in_no_list_is_found_wherever_it_is() {
    let (hidden, genuine) = (zip(&[("a", b"forged")]), zip(&[("a", b"genuine")]));
    let head = hidden.windows(4).position(|part| part == CENTRAL).unwrap();
    // Before all files, with the list as it was or made to fit.
    let before = [&hidden[..head], &genuine].concat();
    assert_eq!(read(&before), Err("it does not end as a ZIP ends".to_owned()));
    let list = genuine.windows(4).position(|part| part == CENTRAL).unwrap();
    let mut fitted = before.clone();
    let moved =
        |fitted: &mut Vec<u8>, at: usize, to: usize| fitted[at..at + 4].copy_from_slice(&u32::try_from(to).unwrap().to_le_bytes());
    moved(&mut fitted, head + list + 42, head);
    let end = fitted.len() - 22;
    moved(&mut fitted, end + 16, head + list);
    assert_eq!(read(&fitted), Err("before `a` it has bytes that are of no file in its list".to_owned()));
    // After them.
    let mut after = [&genuine[..list], &hidden[..head], &genuine[list..]].concat();
    let end = after.len() - 22;
    moved(&mut after, end + 16, list + head);
    assert_eq!(read(&after), Err("it has bytes that are of no file in its list".to_owned()));
    // Behind the list.
    assert_eq!(read(&[&genuine[..], b"more"].concat()), Err("it does not end as a ZIP ends".to_owned()));
}

#[test]
fn a_file_that_is_called_otherwise_where_it_is_is_found() {
    let bytes = zip(&[("one", b"x")]);
    let list = bytes.windows(4).position(|part| part == CENTRAL).unwrap();
    let other = [&replaced(&bytes[..list], b"one", b"two")[..], &bytes[list..]].concat();
    assert_eq!(read(&other), Err("`one` is something else in its list than where it is".to_owned()));
    let latin = replaced(&bytes, b"one", b"on\xe9");
    assert_eq!(read(&latin), Err("it has a name that not every program reads as the same".to_owned()));
}

#[test]
fn what_is_cut_off_anywhere_is_no_such_file() {
    let bytes = zip(&[("one", b"some bytes"), ("two", b"more")]);
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "of {length} bytes");
    }
    assert_eq!(read(&bytes), Ok(vec!["one".to_owned(), "two".to_owned()]));
}
