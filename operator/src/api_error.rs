//! Errors of the API server as a person wants to read them.

use std::fmt;

/// A failed request. `Display` gives the API server's own sentence; kube's would add the whole answer behind it.
#[derive(Debug)]
pub struct ApiError(Box<kube::Error>);

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            kube::Error::Api(status) if !status.message.is_empty() => f.write_str(&status.message),
            other => other.fmt(f),
        }
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// HTTP status of the answer; `None` when there was none.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match &*self.0 {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether the namespace is being deleted, so that nothing can be made in it any more.
    #[must_use]
    pub fn is_namespace_leaving(&self) -> bool {
        let kube::Error::Api(status) = &*self.0 else { return false };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn shows_the_servers_sentence_only() {
        let status = Status { message: "services \"x\" is forbidden".to_owned(), code: 403, ..Status::default() };
        let error = ApiError::from(kube::Error::Api(Box::new(status)));
        assert_eq!(error.to_string(), "services \"x\" is forbidden");
        assert_eq!(error.code(), Some(403));
        assert!(!error.is_namespace_leaving());
    }
}
