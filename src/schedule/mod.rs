//! Pure machines of time: zones, calendars, cron expressions and when they fire, the business date, what is due.

pub mod business_date;
pub mod calendar;
pub mod cron;
pub mod firing;
pub mod planner;
pub mod timetable;
pub mod zone;
