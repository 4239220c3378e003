//! PAX records, `LENGTH KEY=VALUE\n` with the length counting itself (POSIX.1-2017 pax, "pax
//! Extended Header"). The `tar` crate parts them at newlines, which extended attributes may hold.

use std::io;

/// A key and its value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// Reads the records of one extended header.
pub(crate) fn read(mut bytes: &[u8]) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    // Some writers pad with NUL.
    while bytes.first().is_some_and(|byte| *byte != 0) {
        let (record, rest) = split_record(bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a PAX record is broken"))?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}

fn split_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(bytes.get(..space)?)
        .ok()?
        .parse()
        .ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = record.split_at(equals);
    Some(((key.to_vec(), value.get(1..)?.to_vec()), rest))
}

/// Adds a record.
pub(crate) fn write(output: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    output.extend_from_slice(length.to_string().as_bytes());
    output.push(b' ');
    output.extend_from_slice(key);
    output.push(b'=');
    output.extend_from_slice(value);
    output.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        for length in [0, 1, 90, 93, 94, 95, 989, 990, 991] {
            let value = vec![b'\n'; length];
            let mut bytes = Vec::new();
            write(&mut bytes, b"first", &value);
            write(&mut bytes, b"k", b"a=b");
            let expected = [(b"first".to_vec(), value), (b"k".to_vec(), b"a=b".to_vec())];
            assert_eq!(read(&bytes).unwrap(), expected, "{length}");
        }
    }

    #[test]
    fn broken_records() {
        for bytes in [&b"x"[..], b"5 a=b", b"99 a=b\n", b"6 abc\n"] {
            assert!(read(bytes).is_err());
        }
    }
}
