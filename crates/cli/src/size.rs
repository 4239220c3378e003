//! Sizes as they are given on the command line: `5GB` (thousands), `5GiB` (1024s), `5G` (as GB).

/// Bytes of a size.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let wrong = || format!("`{text}` is no size: a number and a unit, like 5GB, 500MiB or 0");
    let factor = factor(unit).ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(fraction) || number.ends_with('.') {
        return Err(wrong());
    }
    let too_much = || format!("`{text}` is more than can be counted");
    let whole: u64 = whole.parse().map_err(|_| too_much())?;
    let bytes = whole.checked_mul(factor).ok_or_else(too_much)?;
    // As many digits as a unit can tell.
    let (mut part, mut rest) = (0_u64, factor);
    for digit in fraction.bytes().take(18) {
        rest /= 10;
        part += rest * u64::from(digit - b'0');
    }
    bytes.checked_add(part).ok_or_else(too_much)
}

fn factor(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let (letter, base) = match unit.strip_suffix("ib") {
        Some(letter) => (letter, 1024_u64),
        None => (unit.strip_suffix('b').unwrap_or(&unit), 1000),
    };
    let power = match letter {
        "" if unit == "ib" => return None,
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    base.checked_pow(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_thousands_or_of_1024s() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("17", Ok(17)),
            ("17B", Ok(17)),
            ("5GB", Ok(5_000_000_000)),
            ("5G", Ok(5_000_000_000)),
            ("5 gb", Ok(5_000_000_000)),
            ("5GiB", Ok(5 << 30)),
            ("1.5k", Ok(1_500)),
            ("0.5MB", Ok(500_000)),
            (" 2TiB ", Ok(2 << 40)),
            ("20000PB", Err("is more than can be counted")),
            ("99999999999999999999", Err("is more than can be counted")),
            ("", Err("is no size")),
            ("GB", Err("is no size")),
            ("5 bananas", Err("is no size")),
            ("5ib", Err("is no size")),
            ("-5GB", Err("is no size")),
            ("1.GB", Err("is no size")),
            ("1.2.3GB", Err("is no size")),
            (".5GB", Err("is no size")),
        ] {
            match (parse(text), expected) {
                (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected, "{text}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
