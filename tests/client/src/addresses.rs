//! Where a client may connect: a list of addresses in order of preference, which a test may change at any time
//! (pods come and go).

use std::sync::{Arc, RwLock};

/// A shared list of `host:port` addresses, the preferred one first. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Arc<RwLock<Vec<String>>>);

impl Addresses {
    /// A list of addresses, the preferred one first.
    #[must_use]
    pub fn new(list: Vec<String>) -> Self {
        Self(Arc::new(RwLock::new(list)))
    }

    /// Replaces the list; takes effect at the next connection.
    pub fn set(&self, list: Vec<String>) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = list;
    }

    /// The addresses in the order in which they are to be tried; `avoid` goes last.
    #[must_use]
    pub fn candidates(&self, avoid: Option<&str>) -> Vec<String> {
        let list = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let (last, mut first): (Vec<String>, Vec<String>) =
            list.into_iter().partition(|address| Some(address.as_str()) == avoid);
        first.extend(last);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avoided_address_is_tried_last() {
        let addresses = Addresses::new(vec!["a".into(), "b".into()]);
        assert_eq!(addresses.candidates(Some("a")), ["b", "a"]);
        addresses.set(vec!["a".into()]);
        assert_eq!(addresses.candidates(Some("a")), ["a"], "the only address is used even when avoided");
    }
}
