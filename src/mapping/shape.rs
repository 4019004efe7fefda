//! The shape of a record: the steps in which its JSON is written.

use super::spec::FieldSpec;
use super::stamp::Stamp;
use super::write;

/// The steps of a record and of the entries of its lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) record: Vec<Step>,
    /// The steps of one entry, for each list.
    pub(super) lists: Vec<Vec<Step>>,
}

/// One step of writing an object.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// `"key":{`
    Open(Stamp),
    /// `"key":` and the value of the field.
    Field(Stamp, usize),
    /// `"key":[`, the entries of the list, `]`.
    List(Stamp, usize),
    /// `}`
    Close,
}

impl Shape {
    /// The shape for fields in the order of the mapping. With `omit_empty` keys have their comma always, and the writer takes
    /// the first off.
    pub(super) fn new(fields: &[FieldSpec], omit_empty: bool) -> Self {
        let mut root = Node::default();
        for (at, field) in fields.iter().enumerate() {
            if let Some((name, objects)) = field.target.split_last() {
                let node = objects.iter().fold(&mut root, |node, object| node.object(object));
                node.children.push((name, Child::Field(at)));
            }
        }
        let mut shape = Self::default();
        shape.record = root.flatten(omit_empty, &mut shape.lists);
        shape
    }
}

/// A node of the record: objects and lists in the order in which their first field appears.
#[derive(Default)]
struct Node<'a> {
    children: Vec<(&'a str, Child<'a>)>,
}

enum Child<'a> {
    Field(usize),
    Object(Node<'a>),
}

impl<'a> Node<'a> {
    fn object(&mut self, name: &'a str) -> &mut Self {
        let known = self.children.iter().position(|(child, node)| *child == name && matches!(node, Child::Object(_)));
        let at = known.unwrap_or_else(|| {
            self.children.push((name, Child::Object(Self::default())));
            self.children.len() - 1
        });
        match self.children.get_mut(at) {
            Some((_, Child::Object(node))) => node,
            _ => unreachable!("the child at {at} is the object `{name}`, found or made above"),
        }
    }

    fn flatten(&self, omit_empty: bool, lists: &mut Vec<Vec<Step>>) -> Vec<Step> {
        let mut steps = Vec::new();
        for (at, (name, child)) in self.children.iter().enumerate() {
            let mut key = Vec::new();
            if at > 0 || omit_empty {
                key.push(b',');
            }
            write::string(&mut key, name.strip_suffix("[]").unwrap_or(name));
            key.push(b':');
            match child {
                Child::Field(field) => steps.push(Step::Field(Stamp::new(&key), *field)),
                Child::Object(node) if name.ends_with("[]") => {
                    key.push(b'[');
                    let entry = node.flatten(omit_empty, lists);
                    lists.push(entry);
                    steps.push(Step::List(Stamp::new(&key), lists.len() - 1));
                }
                Child::Object(node) => {
                    key.push(b'{');
                    steps.push(Step::Open(Stamp::new(&key)));
                    steps.extend(node.flatten(omit_empty, lists));
                    steps.push(Step::Close);
                }
            }
        }
        steps
    }
}
