//! Where a rule stands in the text of a mapping, for those who show data beside the rule that refused it.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

/// A mapping's text with its tree.
pub struct Places<'t> {
    text: &'t str,
    tree: Spanned<DeTable<'t>>,
}

impl<'t> Places<'t> {
    /// Of a text; what cannot be read of it has no places.
    pub fn new(text: &'t str) -> Self {
        Self { text, tree: DeTable::parse_recoverable(text).0 }
    }

    /// The line of a place, from 1.
    pub fn line(&self, span: &Range<usize>) -> usize {
        self.text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1)
    }

    fn table(&self, name: &str) -> Option<&Spanned<DeValue<'t>>> {
        self.tree.get_ref().get(name)
    }

    fn recipe(&self, target: &str) -> Option<&DeTable<'t>> {
        table_of(table_of(self.table("fields")?)?.get(target)?)
    }

    /// The line on which a recipe begins.
    pub fn recipe_line(&self, target: &str) -> Option<usize> {
        let fields = table_of(self.table("fields")?)?;
        let (key, _) = fields.iter().find(|(key, _)| key.get_ref().as_ref() == target)?;
        Some(self.line(&key.span()))
    }

    /// The value of a key of a recipe; of a text what is inside its quotation marks.
    pub fn of_recipe(&self, target: &str, key: &str) -> Option<Range<usize>> {
        self.recipe(target)?.get(key).map(|value| self.inner(value))
    }

    /// The lines of the cases of a recipe, in their order.
    pub fn case_lines(&self, target: &str) -> Vec<usize> {
        let cases = self.recipe(target).and_then(|recipe| recipe.get("cases"));
        let Some(DeValue::Array(cases)) = cases.map(Spanned::get_ref) else { return Vec::new() };
        cases.iter().map(|case| self.line(&case.span())).collect()
    }

    /// The id of a check or a control.
    pub fn of_rule(&self, table: &str, id: &str) -> Option<Range<usize>> {
        let Some(DeValue::Array(rules)) = self.table(table).map(Spanned::get_ref) else { return None };
        let ids = rules.iter().filter_map(|rule| table_of(rule)?.get("id"));
        ids.map(|value| self.inner(value)).find(|span| self.text.get(span.clone()) == Some(id))
    }

    fn inner(&self, value: &Spanned<DeValue<'t>>) -> Range<usize> {
        let span = value.span();
        let is_text = matches!(value.get_ref(), DeValue::String(_));
        if is_text && span.len() >= 2 { span.start + 1..span.end - 1 } else { span }
    }
}

fn table_of<'a, 't>(value: &'a Spanned<DeValue<'t>>) -> Option<&'a DeTable<'t>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}
