//! Dates and numbers as Java prints them.

/// The time `ms` after 1970 as `java.util.Date` prints it, in UTC: `Fri Nov 20 09:21:53 UTC 2026`.
pub(super) fn date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let weekday = DAYS[usize::try_from(days.rem_euclid(7)).unwrap_or(0)];
    let month = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// Year, month and day of the day that is `days` after 1 January 1970, in the Gregorian calendar.
///
/// Counted from 1 March of year 0, so that the odd day of a leap year is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// A mean as Java prints a `double` that was rounded to four digits.
pub(super) fn mean(value: f64) -> String {
    let rounded = (value * 10_000.0).round() / 10_000.0;
    if rounded > 0.0 && rounded < 0.001 {
        return format!("{:?}E-4", (rounded * 10_000.0).round());
    }
    format!("{rounded:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_javas() {
        assert_eq!(date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(date(1_795_166_513_999), "Fri Nov 20 09:21:53 UTC 2026");
        assert_eq!(date(951_782_400_000), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(date(-1), "Wed Dec 31 23:59:59 UTC 1969");
    }

    #[test]
    fn means_are_javas() {
        assert_eq!(mean(0.0), "0.0");
        assert_eq!(mean(0.073_49), "0.0735");
        assert_eq!(mean(0.000_52), "5.0E-4");
        assert_eq!(mean(12.5), "12.5");
        assert_eq!(mean(f64::from(28)), "28.0");
    }
}
