//! The books as a workbook for people: Summary, Controls, Breaks, Rejects. Texts stay texts, so keys keep their zeros and
//! nothing is a formula.

use chrono::{DateTime, Datelike, Timelike, Utc};
use rust_xlsxwriter::{Color, DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError};

use super::books::Books;
use super::document::instant;
use super::reconciliation::{amounts_of, note_of, state_of_break, what_of};
use crate::domain::file::shown_name;
use crate::domain::measure::Comparison;

/// Most rejects that the sheet lists; a sheet holds about a million rows.
pub const MOST_REJECTS: usize = 100_000;

/// The look of the sheets.
struct Looks {
    head: Format,
    text: Format,
    number: Format,
    good: Format,
    bad: Format,
    open: Format,
}

/// The reconciliations of some runs as an XLSX file, made at `now`.
///
/// # Errors
/// Those of writing a workbook.
pub fn xlsx(books: &[Books], now: DateTime<Utc>) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let made = ExcelDateTime::from_ymd(now.year() as u16, now.month() as u8, now.day() as u8)?.and_hms(
        now.hour() as u16,
        now.minute() as u8,
        f64::from(now.second()),
    )?;
    workbook.set_properties(
        &DocProperties::new().set_title("Reconciliation").set_author("Nightferry").set_creation_datetime(&made),
    );
    let base = || Format::new().set_font_name("Calibri").set_font_size(11);
    let looks = Looks {
        head: base().set_bold().set_background_color(Color::RGB(0x1F_3A4D)).set_font_color(Color::White),
        text: base().set_num_format("@"),
        number: base().set_num_format("#,##0").set_align(FormatAlign::Right),
        good: base().set_font_color(Color::RGB(0x1B_6E3C)).set_bold(),
        bad: base().set_font_color(Color::RGB(0xA6_1B1B)).set_bold(),
        open: base().set_font_color(Color::RGB(0x7A_5A00)).set_bold(),
    };
    summary(workbook.add_worksheet(), books, &looks)?;
    controls(workbook.add_worksheet(), books, &looks)?;
    breaks(workbook.add_worksheet(), books, &looks)?;
    rejects(workbook.add_worksheet(), books, &looks)?;
    workbook.save_to_buffer()
}

fn begin(sheet: &mut Worksheet, name: &str, head: &[(&str, f64)], looks: &Looks) -> Result<(), XlsxError> {
    sheet.set_name(name)?;
    for (column, (title, width)) in (0_u16..).zip(head) {
        sheet.write_string_with_format(0, column, *title, &looks.head)?;
        sheet.set_column_width(column, *width)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.set_landscape();
    sheet.set_print_fit_to_pages(1, 0);
    sheet.set_repeat_rows(0, 0)?;
    Ok(())
}

fn result_look(looks: &Looks, result: Comparison) -> &Format {
    match result {
        Comparison::Balanced | Comparison::Nothing => &looks.good,
        Comparison::WithinTolerance | Comparison::NotConfirmed => &looks.open,
        Comparison::Break => &looks.bad,
    }
}

fn summary(sheet: &mut Worksheet, books: &[Books], looks: &Looks) -> Result<(), XlsxError> {
    let head = [
        ("Job", 22.0),
        ("Business date", 14.0),
        ("Result", 20.0),
        ("State", 18.0),
        ("Rows read", 11.0),
        ("Skipped", 10.0),
        ("Rejected", 10.0),
        ("Used", 10.0),
        ("Records made", 13.0),
        ("Accepted", 11.0),
        ("Refused", 10.0),
        ("Unanswered", 12.0),
        ("Pending", 10.0),
        ("Breaks open", 12.0),
        ("Sign-off", 30.0),
        ("Started (UTC)", 22.0),
        ("Finished (UTC)", 22.0),
        ("Run", 38.0),
    ];
    begin(sheet, "Summary", &head, looks)?;
    for (row, one) in (1_u32..).zip(books) {
        let (rows, records) = one.totals();
        let result = one.result();
        let current = one.breaks.iter().filter(|one| one.state.is_current()).count() as u64;
        sheet.write_string_with_format(row, 0, one.run.job.as_str(), &looks.text)?;
        sheet.write_string_with_format(row, 1, one.run.business_date.to_string(), &looks.text)?;
        sheet.write_string_with_format(
            row,
            2,
            format!("{} {}", result.mark(), result.word()),
            result_look(looks, result),
        )?;
        sheet.write_string_with_format(row, 3, one.run.state.to_string(), &looks.text)?;
        let counts = [
            rows.read,
            rows.skipped,
            rows.rejected,
            rows.used,
            records.made,
            records.accepted,
            records.refused,
            records.unanswered,
            records.pending,
            current,
        ];
        for (column, count) in (4_u16..).zip(counts) {
            sheet.write_number_with_format(row, column, count as f64, &looks.number)?;
        }
        sheet.write_string_with_format(row, 14, one.sign_off_words(), &looks.text)?;
        sheet.write_string_with_format(row, 15, instant(one.run.started_at), &looks.text)?;
        sheet.write_string_with_format(row, 16, one.run.finished_at.map(instant).unwrap_or_default(), &looks.text)?;
        sheet.write_string_with_format(row, 17, one.run.id.as_str(), &looks.text)?;
    }
    Ok(())
}

fn controls(sheet: &mut Worksheet, books: &[Books], looks: &Looks) -> Result<(), XlsxError> {
    let head = [
        ("Job", 22.0),
        ("Business date", 14.0),
        ("Section", 10.0),
        ("What", 40.0),
        ("Unit", 8.0),
        ("Expected", 22.0),
        ("Found", 22.0),
        ("Difference", 18.0),
        ("Tolerance", 11.0),
        ("Result", 20.0),
    ];
    begin(sheet, "Controls", &head, looks)?;
    let mut row = 1;
    for one in books {
        for line in one.lines() {
            let cells = [
                one.run.job.as_str(),
                &one.run.business_date.to_string(),
                line.section,
                &line.what,
                &line.unit,
                &line.expected,
                &line.found,
                &line.difference,
                &line.tolerance,
            ];
            for (column, cell) in (0_u16..).zip(cells) {
                sheet.write_string_with_format(row, column, cell, &looks.text)?;
            }
            let result = format!("{} {}", line.result.mark(), line.result.word());
            sheet.write_string_with_format(row, 9, result, result_look(looks, line.result))?;
            row += 1;
        }
    }
    Ok(())
}

fn breaks(sheet: &mut Worksheet, books: &[Books], looks: &Looks) -> Result<(), XlsxError> {
    let head = [
        ("Break", 8.0),
        ("Job", 22.0),
        ("Business date", 14.0),
        ("Type", 20.0),
        ("What", 40.0),
        ("Expected", 20.0),
        ("Found", 26.0),
        ("Amount", 24.0),
        ("Age (business days)", 18.0),
        ("State", 24.0),
        ("Reason", 18.0),
        ("Note", 40.0),
        ("Opened (UTC)", 22.0),
    ];
    begin(sheet, "Breaks", &head, looks)?;
    let mut row = 1;
    for one in books {
        for found in &one.breaks {
            let cells = [
                format!("#{}", found.id),
                found.job.to_string(),
                found.business_date.to_string(),
                found.kind.title().to_owned(),
                what_of(found),
                found.expected.clone(),
                found.found.clone(),
                amounts_of(found),
            ];
            for (column, cell) in (0_u16..).zip(&cells) {
                sheet.write_string_with_format(row, column, shown_name(cell.as_bytes()), &looks.text)?;
            }
            sheet.write_number_with_format(row, 8, f64::from(one.age_of(found)), &looks.number)?;
            let look = if found.state.is_current() { &looks.bad } else { &looks.good };
            sheet.write_string_with_format(row, 9, state_of_break(found), look)?;
            let last = [found.reason.clone().unwrap_or_default(), note_of(found), instant(found.opened_at)];
            for (column, cell) in (10_u16..).zip(&last) {
                sheet.write_string_with_format(row, column, shown_name(cell.as_bytes()), &looks.text)?;
            }
            row += 1;
        }
    }
    Ok(())
}

fn rejects(sheet: &mut Worksheet, books: &[Books], looks: &Looks) -> Result<(), XlsxError> {
    let head = [
        ("Job", 22.0),
        ("File", 32.0),
        ("Row", 8.0),
        ("Column", 18.0),
        ("Code", 20.0),
        ("What is wrong", 60.0),
        ("Side", 10.0),
        ("State", 12.0),
        ("Row as it came (masked)", 80.0),
    ];
    begin(sheet, "Rejects", &head, looks)?;
    let all = books.iter().flat_map(|one| one.rejects.iter().map(move |reject| (one, reject)));
    for (row, (one, reject)) in (1_u32..).zip(all.take(MOST_REJECTS)) {
        let raw = reject.masked.clone().unwrap_or_else(|| shown_name(&reject.raw));
        let shown = |text: &str| shown_name(text.as_bytes());
        let cells = [
            one.run.job.to_string(),
            shown_name(&reject.file),
            reject.row.map(|row| row.to_string()).unwrap_or_default(),
            shown(reject.column.as_deref().unwrap_or_default()),
            shown(&reject.code),
            shown(&reject.message),
            reject.side.to_owned(),
            reject.state.to_string(),
            // A cell of a workbook holds 32 767 characters.
            raw.chars().take(32_000).collect(),
        ];
        for (column, cell) in (0_u16..).zip(&cells) {
            sheet.write_string_with_format(row, column, cell, &looks.text)?;
        }
    }
    Ok(())
}
