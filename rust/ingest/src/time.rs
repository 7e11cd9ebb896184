//! Instants as logs write them, in µs since 1970.

/// Reads an ISO 8601 instant at the start of `bytes`, and tells how many bytes it takes.
///
/// A `T` or a blank may stand between date and time; the fraction has up to nine digits, of which six
/// count; `Z`, `±HH:MM`, `±HHMM` or nothing (UTC) follows.
pub fn iso(bytes: &[u8]) -> Option<(i64, usize)> {
    let head: &[u8; 19] = bytes.get(..19)?.try_into().ok()?;
    let shape = head[4] == b'-'
        && head[7] == b'-'
        && (head[10] == b'T' || head[10] == b' ')
        && head[13] == b':'
        && head[16] == b':';
    if !shape {
        return None;
    }
    let pair = |at: usize| -> Option<i64> {
        let (tens, ones) = (digit(head[at])?, digit(head[at + 1])?);
        Some(tens * 10 + ones)
    };
    let year = pair(0)? * 100 + pair(2)?;
    let (month, day, hour, minute, second) = (pair(5)?, pair(8)?, pair(11)?, pair(14)?, pair(17)?);
    let known = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !known {
        return None;
    }
    let (mut at, mut micros) = (19, 0);
    if bytes.get(19) == Some(&b'.') {
        let (mut unit, mut place) = (100_000, 20);
        while let Some(value) = bytes.get(place).copied().and_then(digit) {
            micros += value * unit;
            unit /= 10;
            place += 1;
        }
        if place == 20 || place > 29 {
            return None;
        }
        at = place;
    }
    // A leap second is the last instant of its minute.
    let (second, micros) = if second == 60 { (59, 999_999) } else { (second, micros) };
    let mut offset = 0;
    match bytes.get(at) {
        Some(b'Z' | b'z') => at += 1,
        Some(sign @ (b'+' | b'-')) => {
            let colon = usize::from(bytes.get(at + 3) == Some(&b':'));
            let number = |place: usize| -> Option<i64> {
                Some(digit(*bytes.get(place)?)? * 10 + digit(*bytes.get(place + 1)?)?)
            };
            let minutes = number(at + 1)? * 60 + number(at + 3 + colon)?;
            offset = if *sign == b'-' { -minutes } else { minutes };
            at += 5 + colon;
        }
        _ => {}
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
        - offset * 60;
    Some((seconds * 1_000_000 + micros, at))
}

/// An instant that takes all of `bytes`.
pub fn whole_iso(bytes: &[u8]) -> Option<i64> {
    let bytes = bytes.trim_ascii();
    iso(bytes).filter(|(_, length)| *length == bytes.len()).map(|(at, _)| at)
}

fn digit(byte: u8) -> Option<i64> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(i64::from(value))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the day that comes and goes is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_as_logs_write_them() {
        let at = 1_772_359_200_250_000;
        for text in [
            "2026-03-01T10:00:00.250Z",
            "2026-03-01T10:00:00.250000+00:00",
            "2026-03-01 10:00:00.25",
            "2026-03-01T12:00:00.250+0200",
            "2026-03-01T04:30:00.250999999-05:30",
        ] {
            let nanos = text.contains("250999999");
            let expected = at + if nanos { 999 } else { 0 };
            assert_eq!(iso(text.as_bytes()), Some((expected, text.len())), "{text}");
        }
        assert_eq!(whole_iso(b"1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(whole_iso(b"2000-02-29T00:00:00Z"), Some(951_782_400_000_000));
        assert_eq!(whole_iso(b"1969-12-31T23:59:60Z"), Some(-1));
    }

    #[test]
    fn what_is_no_instant() {
        for text in [
            "",
            "2026-03-01",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T10:00:00.Z",
            "2026-03-01T10:00:00.1234567890Z",
            "2026/03/01T10:00:00Z",
            "2026-03-01T10:00:00+0",
            "2026-03-01T10:00:00+1x:00",
            "\u{663}026-03-01T10:00:00",
        ] {
            assert_eq!(iso(text.as_bytes()), None, "{text}");
        }
        assert_eq!(whole_iso(b"2026-03-01T10:00:00Z x"), None);
    }
}
