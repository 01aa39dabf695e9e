//! Somebody who works off what comes, first come, first served.

/// Servers with one line before them. Work must be handed in in the order of time.
#[derive(Clone, Debug)]
pub(super) struct Station {
    free_at: Vec<f64>,
    busy: f64,
}

impl Station {
    pub(super) fn new(servers: usize) -> Self {
        Self { free_at: vec![0.0; servers.max(1)], busy: 0.0 }
    }

    /// Hands in work of so many seconds; says when it is done.
    pub(super) fn work(&mut self, now: f64, seconds: f64) -> f64 {
        self.busy += seconds;
        let Some(first) = self.free_at.iter_mut().min_by(|one, other| one.total_cmp(other)) else { return now };
        *first = first.max(now) + seconds;
        *first
    }

    /// Forgets what was handed in before, for the books only.
    pub(super) fn begin(&mut self) {
        self.busy = 0.0;
    }

    /// Work handed in since then, as a part of what its servers can do in `seconds`: over 1 when it is more than that.
    pub(super) fn offered(&self, seconds: f64) -> f64 {
        self.busy / seconds / self.free_at.len() as f64
    }
}
