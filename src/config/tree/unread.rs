//! What nothing reads yet, or what is written for people only, held to the table of words: a slip there is a slip too.

use toml::de::DeValue;

use super::super::words::{self, Kind, Shape};
use super::{Table, Value};

impl<'t> Table<'t> {
    /// Checks the value of a key that no reader took.
    pub(super) fn check_unread(&self, key: &str, value: &Value<'t>) {
        let file = self.sink.file.get();
        let shape = if self.place.is_empty() {
            match file.places().iter().find(|place| place.name == key).map(|place| place.kind) {
                Some(Kind::One) => Some(Shape::Table),
                Some(Kind::List) => Some(Shape::TableList),
                Some(Kind::Named) => {
                    let Some(named) = value.table(key) else { return };
                    for (name, inner) in named.entries() {
                        if let Some(table) = inner.table(&format!("{key}.{}", name.value)) {
                            table.check_all();
                        }
                    }
                    None
                }
                Some(Kind::Free) | None => None,
            }
        } else {
            words::find(file, &self.place, key).map(|word| word.shape)
        };
        match shape {
            Some(Shape::Table) => self.inner(key, value).into_iter().for_each(|table| table.check_all()),
            Some(Shape::TableList) => {
                value.list(false).iter().filter_map(|item| self.inner(key, item)).for_each(|table| table.check_all());
            }
            Some(Shape::WordOrTable(_)) if matches!(value.node(), DeValue::Table(_)) => {
                self.inner(key, value).into_iter().for_each(|table| table.check_all());
            }
            Some(shape) => value.check(key, shape),
            None => {}
        }
    }

    fn check_all(self) {
        let known = words::keys(self.sink.file.get(), &self.place);
        for (key, value) in self.entries() {
            if known.contains(&key.value.as_str()) {
                self.check_unread(&key.value, &value);
            } else {
                self.unknown(&key.value, &key.span, &known);
            }
        }
    }
}

impl Value<'_> {
    /// Whether it has this shape, as far as that is simple.
    fn check(&self, key: &str, shape: Shape) {
        let one_of = |value: &Self, words: &[&str]| {
            let Some(text) = value.text() else { return };
            if !words.contains(&text.value.as_str()) {
                let known = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
                let message = format!("`{}` is not a value of `{key}`", text.value);
                let label = format!("one of {known}");
                value.sink.error("NF104", &text.span, message, &label);
            }
        };
        match shape {
            Shape::Text | Shape::Duration | Shape::Size => drop(self.text()),
            Shape::Texts => self.list(true).iter().for_each(|item| drop(item.text())),
            Shape::Flag => drop(self.boolean()),
            Shape::Whole => drop(self.integer(0, u64::MAX >> 1)),
            Shape::OneOf(words) => one_of(self, words),
            Shape::SomeOf(words) => self.list(true).iter().for_each(|item| one_of(item, words)),
            Shape::FlagOr(words) if matches!(self.node(), DeValue::String(_)) => one_of(self, words),
            Shape::FlagOr(_) => drop(self.boolean()),
            _ => {}
        }
    }
}
