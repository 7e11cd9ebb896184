//! What an invocation is billed for (F3.7, F7).

use crate::time::Micros;

/// Billed time of a run in whole milliseconds: the sum of what is billed, rounded up once to the
/// unit (F3.7), and at least one unit (Z40).
#[inline]
#[allow(clippy::cast_sign_loss)] // Spans are not negative.
pub fn billed_ms(billed: Micros, unit: Micros) -> u64 {
    // A division by a constant is a multiplication: the two units of the eras are worth that.
    let units = match unit.0 {
        1_000 => return ((billed.0 + 999) / 1_000).max(1) as u64,
        100_000 => (billed.0 + 99_999) / 100_000,
        other => (billed.0 + other - 1) / other,
    };
    (units.max(1) * (unit.0 / 1_000)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Micros = Micros(1_000);

    #[test]
    fn published_report_lines_reproduce() {
        // AWS's example and REPORT lines of F3.7: duration + init, one ceiling over the sum.
        for (duration, init, billed) in [
            (250_060, 100_770, 351),
            (3_004_920, 111_230, 3_117),
            (133_610, 80_000, 214),
            (3_016_780, 84_000, 3_101),
            (250_060, 0, 251),
        ] {
            assert_eq!(billed_ms(Micros(duration + init), MILLISECOND), billed);
        }
    }

    #[test]
    fn a_whole_number_of_units_is_not_rounded() {
        assert_eq!(billed_ms(Micros(5_000), MILLISECOND), 5);
        assert_eq!(billed_ms(Micros(5_001), MILLISECOND), 6);
        assert_eq!(billed_ms(Micros(200_000), Micros(100_000)), 200);
        assert_eq!(billed_ms(Micros(200_001), Micros(100_000)), 300);
    }

    #[test]
    fn at_least_one_unit() {
        assert_eq!(billed_ms(Micros::ZERO, MILLISECOND), 1);
        assert_eq!(billed_ms(Micros::ZERO, Micros(100_000)), 100);
    }
}
