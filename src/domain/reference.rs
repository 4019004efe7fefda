//! What the target calls the records of one batch, kept small: each reference says how much of its beginning is that of the
//! one before. Numbers that a target counts up cost two or three bytes a record.

/// The bytes of a list of references, one for each record; `None` where the target gave none.
pub fn pack(references: &[Option<&str>]) -> Vec<u8> {
    let (mut bytes, mut before) = (Vec::new(), "");
    for reference in references {
        let Some(text) = reference else {
            bytes.push(0);
            continue;
        };
        let shared = shared_beginning(before, text);
        let rest = &text.as_bytes()[shared..];
        push(&mut bytes, shared as u64 + 1);
        push(&mut bytes, rest.len() as u64);
        bytes.extend_from_slice(rest);
        before = text;
    }
    bytes
}

/// The list behind the bytes; `None` when they are not from `pack`.
pub fn unpack(mut bytes: &[u8]) -> Option<Vec<Option<String>>> {
    let mut list: Vec<Option<String>> = Vec::new();
    let mut before = String::new();
    while !bytes.is_empty() {
        let Some(shared) = take(&mut bytes)?.checked_sub(1) else {
            list.push(None);
            continue;
        };
        let length = usize::try_from(take(&mut bytes)?).ok()?;
        let rest = std::str::from_utf8(bytes.split_off(..length)?).ok()?;
        before = before.get(..usize::try_from(shared).ok()?)?.to_owned() + rest;
        list.push(Some(before.clone()));
    }
    Some(list)
}

/// Bytes that both begin with, cut between characters.
fn shared_beginning(left: &str, right: &str) -> usize {
    let same = left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count();
    right.floor_char_boundary(same)
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_that_count_up_cost_little() {
        let texts: Vec<String> = (0..100).map(|number| format!("ERP-2026-{number:08}")).collect();
        let list: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        let bytes = pack(&list);
        assert!(bytes.len() <= 340, "{} bytes for 100 references of 17", bytes.len());
        assert_eq!(unpack(&bytes).unwrap(), texts.into_iter().map(Some).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn a_list_comes_back_as_it_was(list in proptest::collection::vec(proptest::option::of("[aé€]{0,200}"), 0..50)) {
            let borrowed: Vec<Option<&str>> = list.iter().map(Option::as_deref).collect();
            prop_assert_eq!(unpack(&pack(&borrowed)), Some(list));
        }

        #[test]
        fn bytes_of_somebody_else_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = unpack(&bytes);
        }
    }
}
