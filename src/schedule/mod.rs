//! Pure machines of time: zones, the business date, cron expressions.

pub mod business_date;
pub mod cron;
pub mod zone;
